#include "process/output_lines.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

namespace fivefold::process {
namespace {

class Lines : public testing::Test {
 protected:
  Lines() : file(make(path)), lines(file, "blog", "id") { lines.set_pid(7); }
  ~Lines() override { ::unlink(path.c_str()); }
  static UniqueFd make(std::string& path) {
    char name[] = "/tmp/stderr-test-XXXXXX";
    UniqueFd fd(::mkostemp(name, O_APPEND | O_CLOEXEC));
    path = name;
    return fd;
  }
  std::string logged() {
    file.flush();
    std::ifstream in(path);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::string path;
  LineFile file;
  OutputLines lines;
  net::TimePoint now = net::Clock::now();
};

TEST_F(Lines, SplitsAndNames) {
  lines.take("one\ntw", now);
  lines.take("o\r\n\nthree", now);
  EXPECT_EQ(logged(), "blog[7] id: one\nblog[7] id: two\nblog[7] id: \n");
  lines.finish();
  EXPECT_TRUE(logged().ends_with("blog[7] id: three\n"));
}

TEST_F(Lines, NoLineCanPassForAnother) {
  lines.take("a\rother[1] id: forged\x1b[2J\xc3\xa9\t.\n", now);
  EXPECT_EQ(logged(), "blog[7] id: a\\x0dother[1] id: forged\\x1b[2J\xc3\xa9\t.\n");
}

TEST_F(Lines, LongLinesAreCutIntoPieces) {
  lines.take(std::string(OutputLines::kMaxLine + 1, 'x') + "\n", now);
  EXPECT_EQ(logged(), "blog[7] id: " + std::string(OutputLines::kMaxLine, 'x') + "\nblog[7] id: x\n");
}

TEST_F(Lines, RateIsBounded) {
  const std::string line = std::string(1023, 'x') + "\n";
  for (std::size_t i = 0; i < OutputLines::kBurst / 1024 + 5; ++i) lines.take(line, now);
  lines.take("late\n", now + std::chrono::seconds(1));
  const auto all = logged();
  EXPECT_NE(all.find("[5120 bytes of output were dropped here"), std::string::npos);
  EXPECT_TRUE(all.ends_with("blog[7] id: late\n"));
}

}  // namespace
}  // namespace fivefold::process
