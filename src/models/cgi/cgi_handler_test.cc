// Whole requests that go well.
#include "models/cgi/cgi_rig_test.h"

namespace fivefold::models::cgi {
namespace {

TEST_F(Cgi, SmallOutputIsWhole) {
  shell("hello.cgi", "printf 'Content-Type: text/plain\\n\\nhello\\n'");
  const auto got = request("/cgi-bin/hello.cgi");
  ASSERT_TRUE(got.response) << got.response.error().message;
  EXPECT_EQ(got.response->status, 200);
  EXPECT_EQ(got.response->headers.get("Content-Type"), "text/plain");
  EXPECT_EQ(got.body, "hello\n");
  EXPECT_EQ(current->program, "scripts");
  // A busy machine may let more than kFlushAfter pass between the output and its end; not every time.
  std::optional<std::uint64_t> length;
  for (int i = 0; i < 50 && !length; ++i) length = request("/cgi-bin/hello.cgi").length;
  EXPECT_EQ(length, 6u);
}

TEST_F(Cgi, EnvironmentDirectoryAndArguments) {
  shell("env.cgi", "printf 'X: y\\n\\n'; echo \"$PWD $# $0\"; env | sort");
  program.env = {{"APP", "1"}};
  const auto got = request("/cgi-bin/env.cgi/more/path?a+b", "Accept: */*\r\nProxy: http://evil\r\n");
  EXPECT_THAT(got.body, testing::StartsWith(folder + " 0 " + folder + "/env.cgi\n"));
  for (const char* line : {"APP=1\n", "SCRIPT_NAME=/cgi-bin/env.cgi\n", "PATH_INFO=/more/path\n", "QUERY_STRING=a+b\n",
                           "HTTP_ACCEPT=*/*\n", "REQUEST_URI=/cgi-bin/env.cgi/more/path?a+b\n"})
    EXPECT_THAT(got.body, HasSubstr(line));
  EXPECT_THAT(got.body, testing::Not(HasSubstr("HTTP_PROXY")));
  EXPECT_THAT(got.body, testing::Not(HasSubstr("CONTENT_LENGTH")));
}

TEST_F(Cgi, IndexQueryBecomesArgumentsOnlyWhenAsked) {
  shell("args.cgi", "printf 'X: y\\n\\n'; for a; do echo \"<$a>\"; done");
  program.cgi.index_query = true;
  EXPECT_EQ(request("/cgi-bin/args.cgi?one+two%20three").body, "<one>\n<two three>\n");
  EXPECT_EQ(request("/cgi-bin/args.cgi?-s").body, "");
}

TEST_F(Cgi, SmallBodyIsWholeOnStandardInput) {
  shell("cat.cgi", "printf 'X: y\\n\\n'; echo $CONTENT_LENGTH; cat");
  EXPECT_EQ(request("/cgi-bin/cat.cgi", "Content-Length: 10\r\n", pieces(2, "hello"), "POST").body, "10\nhellohello");
  EXPECT_EQ(request("/cgi-bin/cat.cgi", "Content-Length: 0\r\n", {}, "POST").body, "0\n");
  EXPECT_EQ(request("/cgi-bin/cat.cgi").body, "\n");  // no body: /dev/null
}

TEST_F(Cgi, ChunkedBodyGetsItsLength) {
  shell("count.cgi", "printf 'X: y\\n\\n'; echo $CONTENT_LENGTH; wc -c");
  program.cgi.body_memory = 1000;
  EXPECT_EQ(request("/cgi-bin/count.cgi", "Transfer-Encoding: chunked\r\n", pieces(3, "abc"), "POST").body, "9\n9\n");
  EXPECT_EQ(
      request("/cgi-bin/count.cgi", "Transfer-Encoding: chunked\r\n", pieces(30, std::string(1000, 'x')), "POST").body,
      "30000\n30000\n");
  EXPECT_EQ(request("/cgi-bin/count.cgi", "Transfer-Encoding: chunked\r\n", pieces(0, ""), "POST").body, "0\n0\n");
}

TEST_F(Cgi, LargeBodyAndLargeOutputAtOnceDoNotDeadlock) {
  shell("echo.cgi", "printf 'Content-Type: a/b\\n\\n'; cat");
  const std::size_t size = 16 * 50'000;
  const auto got = request("/cgi-bin/echo.cgi", "Content-Length: " + std::to_string(size) + "\r\n",
                           pieces(16, std::string(50'000, 'z')), "POST");
  EXPECT_EQ(got.body.size(), size);
  EXPECT_FALSE(got.body_error);
  EXPECT_FALSE(got.whole);
}

TEST_F(Cgi, OutputBeforeReadingIsNoDeadlock) {
  shell("first.cgi", "printf 'Content-Type: a/b\\n\\n'; head -c 300000 /dev/zero; cat");
  const auto got =
      request("/cgi-bin/first.cgi", "Content-Length: 300000\r\n", pieces(6, std::string(50'000, 'z')), "POST");
  EXPECT_EQ(got.body.size(), 600'000u);
}

TEST_F(Cgi, ScriptThatReadsNoInputKeepsItsReply) {
  shell("deaf.cgi", "printf 'Status: 403\\n\\nno'");
  const auto got =
      request("/cgi-bin/deaf.cgi", "Content-Length: 1000000\r\n", pieces(20, std::string(50'000, 'z')), "POST");
  ASSERT_TRUE(got.response);
  EXPECT_EQ(got.response->status, 403);
  EXPECT_EQ(got.body, "no");
}

TEST_F(Cgi, OutputThatPausesIsStreamed) {
  shell("slow.cgi", "printf 'X: y\\n\\nfirst'; read x < " + folder + "/go; printf second");
  ::mkfifo((folder + "/go").c_str(), 0600);
  start("/cgi-bin/slow.cgi");
  run_until([this] { return outcome->body == "first"; });
  EXPECT_FALSE(outcome->whole);
  EXPECT_EQ(model.status->status().running, 1u);
  EXPECT_EQ(model.status->status().processes.at(0).what, "/cgi-bin/slow.cgi");
  EXPECT_EQ(model.status->status().processes.at(0).request_id, std::string(32, 'a'));
  std::ofstream(folder + "/go") << "x\n";
  run_until([this] { return task.done(); });
  EXPECT_EQ(outcome->body, "firstsecond");
  EXPECT_FALSE(outcome->body_error);
}

TEST_F(Cgi, LargeOutputArrivesWhole) {
  shell("large.cgi", "printf 'X: y\\n\\n'; head -c 5000000 /dev/zero");
  const auto got = request("/cgi-bin/large.cgi");
  EXPECT_EQ(got.body.size(), 5'000'000u);
  EXPECT_FALSE(got.length);
}

TEST_F(Cgi, HeadEndsTheScriptAfterItsHead) {
  shell("long.cgi", "printf 'Content-Type: a/b\\nContent-Length: 7\\n\\n'; exec sleep 100");
  const auto got = request("/cgi-bin/long.cgi", "", {}, "HEAD");
  ASSERT_TRUE(got.response);
  EXPECT_EQ(got.length, 7u);
  EXPECT_EQ(got.body, "");
  run_until([this] { return all_have_ended(); });
}

TEST_F(Cgi, StatusWithoutABody) {
  shell("none.cgi", "printf 'Status: 204\\nX: y\\n\\nbody'");
  const auto got = request("/cgi-bin/none.cgi");
  EXPECT_EQ(got.response->status, 204);
  EXPECT_EQ(got.body, "");
}

TEST_F(Cgi, Redirects) {
  shell("local.cgi", "printf 'Set-Cookie: a=b\\nLocation: /other?x=1\\n\\n'; touch " + folder + "/after");
  shell("client.cgi", "printf 'Location: http://example.net/\\n\\n'");
  const auto local = request("/cgi-bin/local.cgi?q=1");
  EXPECT_EQ(local.body, "elsewhere");
  EXPECT_EQ(current->redirected_to, "/other?x=1");
  EXPECT_EQ(current->redirected_path, "/cgi-bin/local.cgi");
  EXPECT_EQ(current->redirected_query, "q=1");
  EXPECT_EQ(local.response->headers.get("Set-Cookie"), "a=b");
  run_until([this] { return all_have_ended(); });
  EXPECT_TRUE(std::filesystem::exists(folder + "/after"));
  const auto client = request("/cgi-bin/client.cgi");
  EXPECT_EQ(client.response->status, 302);
  EXPECT_EQ(client.response->headers.get("Location"), "http://example.net/");
}

TEST_F(Cgi, ConditionalRequests) {
  shell("etag.cgi",
        "printf 'ETag: \"v1\"\\nContent-Type: a/b\\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\\n\\nbody'");
  shell("status.cgi", "printf 'Status: 200\\nETag: \"v1\"\\n\\nbody'");
  const auto same = request("/cgi-bin/etag.cgi", "If-None-Match: \"v1\"\r\n");
  EXPECT_EQ(same.response->status, 304);
  EXPECT_EQ(same.response->headers.get("ETag"), "\"v1\"");
  EXPECT_EQ(same.body, "");
  EXPECT_EQ(request("/cgi-bin/etag.cgi", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n").response->status, 304);
  EXPECT_EQ(request("/cgi-bin/etag.cgi", "If-None-Match: \"v2\"\r\n").response->status, 200);
  EXPECT_EQ(request("/cgi-bin/etag.cgi", "If-Match: \"v2\"\r\n").response.error().code, Code::precondition_failed);
  EXPECT_EQ(request("/cgi-bin/status.cgi", "If-None-Match: \"v1\"\r\n").response->status, 200);
}

TEST_F(Cgi, FilesSentInTheScriptsPlace) {
  std::filesystem::create_directory(folder + "/private");
  script("private/report.html", "0123456789", 0644);
  std::filesystem::create_symlink("/etc/passwd", folder + "/private/out");
  shell("send.cgi", "printf 'X-Sendfile: %s\\n\\nignored' \"$QUERY_STRING\"");
  program.cgi.xsendfile_root = folder + "/private";
  const auto got = request("/cgi-bin/send.cgi?report.html");
  ASSERT_TRUE(got.response) << got.response.error().message;
  EXPECT_EQ(got.body, "0123456789");
  EXPECT_EQ(got.response->headers.get("Content-Type"), "text/html; charset=utf-8");
  EXPECT_FALSE(got.response->headers.has("X-Sendfile"));
  EXPECT_EQ(request("/cgi-bin/send.cgi?" + folder + "/private/report.html").body, "0123456789");
  const auto part = request("/cgi-bin/send.cgi?report.html", "Range: bytes=2-4\r\n");
  EXPECT_EQ(part.response->status, 206);
  EXPECT_EQ(part.body, "234");
  EXPECT_EQ(part.response->headers.get("Content-Range"), "bytes 2-4/10");
  for (const char* name : {"../program.log", "out", "/etc/passwd", "missing", "."})
    EXPECT_EQ(request(std::string("/cgi-bin/send.cgi?") + name).response.error().code, Code::program_failed) << name;
}

TEST_F(Cgi, SendfileIsDroppedUnlessAllowed) {
  shell("send.cgi", "printf 'X-Sendfile: /etc/passwd\\n\\nown body'");
  const auto got = request("/cgi-bin/send.cgi");
  EXPECT_EQ(got.body, "own body");
  EXPECT_FALSE(got.response->headers.has("X-Sendfile"));
}

TEST_F(Cgi, OneScriptForEveryPath) {
  program.cgi.root.clear();
  program.cgi.script = shell("app.cgi", "printf 'X: y\\n\\n'; echo \"$SCRIPT_NAME|$PATH_INFO\"");
  prefix = "/app/";
  EXPECT_EQ(request("/app/").body, "/app|/\n");
  EXPECT_EQ(request("/app/a/b").body, "/app|/a/b\n");
  prefix = "/";
  EXPECT_EQ(request("/x").body, "|/x\n");
}

TEST_F(Cgi, InterpreterInPlaceOfTheFirstLine) {
  script("page.x", "printf 'X: y\\n\\n'; echo \"ran $0\"", 0644);
  program.cgi.interpreter = {"sh"};
  EXPECT_EQ(request("/cgi-bin/page.x").body, "ran " + folder + "/page.x\n");
}

}  // namespace
}  // namespace fivefold::models::cgi
