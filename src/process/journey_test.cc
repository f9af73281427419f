#include "process/journey.h"

#include <gtest/gtest.h>

#include "process/child.h"

namespace fivefold::process {
namespace {

using std::chrono::microseconds;

TEST(Journey, TellsStepsOutputFailureAndMend) {
  const net::TimePoint start{};
  Journey journey(start);
  journey.step("found", start + microseconds(120), "/srv/a.cgi");
  journey.step("spawned", start + microseconds(1500), "pid 4711");
  journey.output("Can't locate Foo.pm\n");
  journey.failed("the program exited with status 2 before it answered", "install Foo");
  EXPECT_EQ(journey.as_text(),
            "      0.1 ms  found (/srv/a.cgi)\n"
            "      1.5 ms  spawned (pid 4711)\n"
            "  failed: the program exited with status 2 before it answered\n"
            "  likely mend: install Foo\n"
            "  the program's own output:\n"
            "    | Can't locate Foo.pm\n");
}

TEST(Journey, EscapesWhatTheProgramPrinted) {
  Journey journey{net::TimePoint{}};
  journey.output("<script>alert(1)</script>\n\x1b[2J");
  journey.failed("<b>", "&");
  EXPECT_EQ(journey.as_html().find("<script>"), std::string::npos);
  EXPECT_NE(journey.as_html().find("&lt;script&gt;"), std::string::npos);
  EXPECT_NE(journey.as_html().find("<p class=\"failure\">&lt;b&gt;</p>"), std::string::npos);
  EXPECT_EQ(journey.as_text().find('\x1b'), std::string::npos);
}

TEST(Journey, TellsHowItWasStarted) {
  Journey journey{net::TimePoint{}};
  journey.fact("command", "node server.js --title <b>");
  journey.fact("environment", "PATH PORT");
  journey.fact("ended", "is running");
  journey.fact("ended", "exited with status 1\n");
  EXPECT_EQ(journey.as_text(),
            "  command: node server.js --title <b>\n"
            "  environment: PATH PORT\n"
            "  ended: exited with status 1\\x0a\n");
  EXPECT_NE(journey.as_html().find("<dt>command</dt><dd>node server.js --title &lt;b&gt;</dd>"), std::string::npos);
  EXPECT_EQ(journey.facts().size(), 3u);
}

TEST(Journey, KeepsTheEndOfLongOutput) {
  Journey journey{net::TimePoint{}};
  for (int i = 0; i < 1000; ++i) journey.output("line " + std::to_string(i) + "\n");
  EXPECT_EQ(journey.output_tail().size(), 4096u);
  EXPECT_TRUE(journey.output_tail().ends_with("line 999\n"));
  journey.output(std::string(10000, 'x') + "end");
  EXPECT_EQ(journey.output_tail().size(), 4096u);
  EXPECT_TRUE(journey.output_tail().ends_with("xend"));
}

TEST(ExitStatusInWords, SaysWhatHappened) {
  const auto exited = [](int code) { return in_words(ExitStatus{.code = code}); };
  const auto ended = [](int number, bool core = false) {
    return in_words(ExitStatus{.signal = number, .core_dumped = core});
  };
  EXPECT_EQ(exited(0), "exited with status 0 (success)");
  EXPECT_EQ(exited(3), "exited with status 3");
  EXPECT_EQ(exited(126), "exited with status 126 (a command was found but could not be executed)");
  EXPECT_NE(exited(127).find("could not be found by its interpreter"), std::string::npos);
  EXPECT_EQ(exited(139), "exited with status 139 (its command was ended by signal 11: segmentation fault)");
  EXPECT_EQ(ended(11, true), "was ended by signal 11 (segmentation fault, core dumped)");
  EXPECT_NE(ended(9).find("out of memory"), std::string::npos);
  EXPECT_EQ(ended(40), "was ended by signal 40");
  EXPECT_EQ(in_words(ExitStatus{}), "has not ended");
}

}  // namespace
}  // namespace fivefold::process
