// Whole requests, with real processes and pipes on a loop.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/null_sink.h>
#include <sys/stat.h>

#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "models/cgi/cgi_model.h"
#include "models/cgi/fake_spawner.h"
#include "models/cgi/request_input.h"
#include "models/cgi/running_script.h"

namespace fivefold::models::cgi {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;
using namespace std::chrono_literals;

// A body in pieces, which may fail, or stop coming, after them.
class Pieces final : public exchange::BodySource {
 public:
  enum class End { clean, error, silence };
  Pieces(net::Loop& loop, std::size_t count, std::string piece, End end)
      : count_(count), piece_(std::move(piece)), end_(end), never_(loop), loop_(loop) {}
  net::Task<Result<exchange::Chunk>> next() override {
    co_await net::sleep_until(loop_, loop_.now());  // as a connection does: later, from the top of the loop
    if (count_ > 0) {
      --count_;
      co_return exchange::Chunk(piece_);
    }
    if (end_ == End::error) co_return fail(Code::closed, "the client has gone");
    if (end_ == End::silence) co_await never_.wait();
    co_return exchange::Chunk{};
  }

 private:
  std::size_t count_;
  std::string piece_;
  End end_;
  net::Event never_;
  net::Loop& loop_;
};

struct FakeExchange final : exchange::Exchange {
  explicit FakeExchange(exchange::World& world) : Exchange(world) { id.hex.fill('a'); }
  net::Task<Result<exchange::Response>> redirect_locally(std::string target) override {
    redirected_to = std::move(target);
    exchange::Response response;
    response.body = exchange::Body::text("elsewhere");
    co_return response;
  }
  std::string redirected_to;
};

// What a request came to. A failure after the head comes as the response while nothing has been sent, and as the body's
// after that: which, depends on how fast the machine is.
struct Outcome {
  Result<exchange::Response> response = fail(Code::internal, "nothing came");
  bool whole = false;  // the body's length was known
  std::optional<std::uint64_t> length;
  std::size_t chunks = 0;
  std::string body;
  std::optional<Error> body_error;
  std::optional<Error> error() const { return response ? body_error : std::optional(response.error()); }
};

class Cgi : public testing::Test {
 protected:
  Cgi() : loop(0), blocking(1), spawner(loop), world{loop, blocking, spawner} {
    ::signal(SIGPIPE, SIG_IGN);
    char name[] = "/tmp/cgi-test-XXXXXX";
    folder = ::mkdtemp(name);
    log_file = std::make_unique<LineFile>(
        UniqueFd(::open((folder + "/program.log").c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC, 0600)));
    program.name = "scripts";
    program.cgi.root = folder;
    program.cgi.stop_grace = 100ms;
  }
  ~Cgi() override {
    model = {};
    std::filesystem::remove_all(folder);
  }

  std::string script(const std::string& name, const std::string& text, unsigned mode = 0755) {
    const std::string path = folder + "/" + name;
    std::ofstream(path) << text;
    ::chmod(path.c_str(), mode);
    return path;
  }
  // What a shell script does, between its first line and its end.
  std::string shell(const std::string& name, const std::string& commands) {
    return script(name, "#!/bin/sh\n" + commands + "\n");
  }

  void make() {
    if (!model.handler) model = make_cgi_model(0, program, server, folder, *log_file, log);
  }

  net::Task<void> serve(http::Head& head, std::string path, exchange::Body body, Outcome& outcome) {
    peer = {.address = "192.0.2.1", .port = 1, .local_address = "192.0.2.2", .local_port = 80};
    current->route_prefix = std::string_view(path).substr(0, prefix.size());
    current->route_rest = std::string_view(path).substr(prefix.size());
    exchange::Request request{head, path, std::move(body), peer};
    outcome.response = co_await model.handler->handle(std::move(request), *current);
    if (!outcome.response) co_return;
    outcome.length = outcome.response->body.length();
    outcome.whole = outcome.response->body.as_stream() == nullptr;
    while (read_body) {
      auto chunk = co_await outcome.response->body.next();
      if (!chunk) {
        outcome.body_error = chunk.error();
        break;
      }
      if (chunk->empty()) break;
      ++outcome.chunks;
      outcome.body += *chunk;
    }
    outcome.response->body = {};
  }

  // Runs the loop until `done`; a test that hangs is stopped after 20 s.
  void run_until(std::function<bool()> done) {
    struct Check {
      net::Loop& loop;
      std::function<bool()> done;
      bool stopping = false;
      net::TimePoint end = net::Clock::now() + 20s;
      std::unique_ptr<net::ShortTimer> timer;
    } check{loop, std::move(done)};
    check.timer = std::make_unique<net::ShortTimer>(
        loop,
        [](void* self) {
          auto& c = *static_cast<Check*>(self);
          if (c.done() || net::Clock::now() > c.end)
            c.loop.stop();
          else
            c.timer->set(1ms);
        },
        &check);
    check.timer->set(0ms);
    loop.context().restart();
    loop.run();
    EXPECT_TRUE(check.done()) << "it did not come to its end";
  }

  // One request to its end.
  Outcome request(const std::string& target, const std::string& fields = "", exchange::Body body = {},
                  const std::string& method = "GET") {
    start(target, fields, std::move(body), method);
    run_until([this] { return task.done(); });
    task = net::Running();
    return std::move(*outcome);
  }
  void start(const std::string& target, const std::string& fields = "", exchange::Body body = {},
             const std::string& method = "GET") {
    make();
    bytes = method + " " + target + " HTTP/1.1\r\nHost: example.org\r\n" + fields + "\r\n";
    http::HeadParser parser({});
    ASSERT_TRUE(parser.parse(bytes, head));
    current = std::make_unique<FakeExchange>(world);
    outcome = std::make_unique<Outcome>();
    task = net::Running(serve(head, std::string(head.raw_path), std::move(body), *outcome));
  }
  exchange::Body pieces(std::size_t count, std::string piece, Pieces::End end = Pieces::End::clean) {
    return exchange::Body::stream(std::make_unique<Pieces>(loop, count, std::move(piece), end));
  }

  bool all_have_ended() const {
    return std::ranges::all_of(spawner.states, [](const auto& state) { return state->status.has_value(); }) &&
           model.status->status().running == 0;
  }
  std::string logged() {
    log_file->flush();
    std::ifstream file(folder + "/program.log");
    return {std::istreambuf_iterator<char>(file), {}};
  }

  net::Loop loop;
  net::BlockingPool blocking;
  FakeSpawner spawner;
  exchange::World world;
  std::string folder;
  std::unique_ptr<LineFile> log_file;
  Log log{"test", std::make_shared<spdlog::sinks::null_sink_mt>()};
  config::Program program;
  config::Server server;
  CgiModel model;
  std::string prefix = "/cgi-bin/";
  bool read_body = true;
  std::string bytes;
  http::Head head;
  exchange::Peer peer;
  std::unique_ptr<FakeExchange> current;
  std::unique_ptr<Outcome> outcome;
  net::Running task;
};

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

TEST_F(Cgi, BodyThatBreaksOffKillsTheScriptAndGivesItNoEnd) {
  shell("eof.cgi", "trap '' TERM; cat > /dev/null; touch " + folder + "/saw-end; printf 'X: y\\n\\n'");
  const auto got =
      request("/cgi-bin/eof.cgi", "Content-Length: 1000000\r\n", pieces(2, "some", Pieces::End::error), "POST");
  ASSERT_FALSE(got.response);
  EXPECT_EQ(got.response.error().code, Code::closed);
  run_until([this] { return all_have_ended(); });
  EXPECT_EQ(spawner.states[0]->status->signal, SIGKILL);
  EXPECT_FALSE(std::filesystem::exists(folder + "/saw-end"));
}

TEST_F(Cgi, SmallBodyThatBreaksOffStartsNothing) {
  shell("x.cgi", "printf 'X: y\\n\\n'");
  EXPECT_FALSE(
      request("/cgi-bin/x.cgi", "Content-Length: 10\r\n", pieces(1, "abc", Pieces::End::error), "POST").response);
  EXPECT_EQ(spawner.asked, 0);
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

TEST_F(Cgi, AnnouncedLength) {
  shell("exact.cgi", "printf 'Content-Length: 5\\n\\nhello'; exit 3");
  shell("excess.cgi", "printf 'Content-Length: 5\\n\\nhello and more'");
  shell("short.cgi", "printf 'Content-Length: 50\\n\\nhello'");
  shell("large.cgi", "printf 'Content-Length: 300000\\n\\n'; head -c 400000 /dev/zero");
  shell("large-short.cgi", "printf 'Content-Length: 300000\\n\\n'; head -c 200000 /dev/zero");
  EXPECT_EQ(request("/cgi-bin/exact.cgi").body, "hello");
  EXPECT_EQ(request("/cgi-bin/excess.cgi").body, "hello");
  const auto cut = request("/cgi-bin/short.cgi");
  EXPECT_EQ(cut.error().value().code, Code::program_failed);
  const auto large = request("/cgi-bin/large.cgi");
  EXPECT_EQ(large.length, 300'000u);
  EXPECT_EQ(large.body.size(), 300'000u);
  EXPECT_FALSE(large.body_error);
  const auto large_short = request("/cgi-bin/large-short.cgi");
  ASSERT_TRUE(large_short.body_error);
  EXPECT_EQ(large_short.body_error->code, Code::program_failed);
}

TEST_F(Cgi, CrashAfterTheHead) {
  shell("whole.cgi", "printf 'X: y\\n\\nhello'; exit 3");
  shell("signal.cgi", "printf 'X: y\\n\\n'; head -c 200000 /dev/zero; kill -SEGV $$");
  const auto whole = request("/cgi-bin/whole.cgi");
  EXPECT_EQ(whole.error().value().code, Code::program_failed);
  EXPECT_THAT(whole.error()->message, HasSubstr("status 3"));
  const auto streamed = request("/cgi-bin/signal.cgi");
  EXPECT_EQ(streamed.body.size(), 200'000u);
  ASSERT_TRUE(streamed.body_error);
  EXPECT_EQ(streamed.body_error->code, Code::program_failed);
  EXPECT_THAT(current->failure_log, HasSubstr("signal 11"));
}

TEST_F(Cgi, FailureBeforeTheHeadTellsItsStory) {
  shell("dies.cgi", "echo 'about to <die>' >&2; exit 9");
  shell("nothing.cgi", "exit 0");
  shell("chatter.cgi", "echo hello world");
  const auto died = request("/cgi-bin/dies.cgi");
  EXPECT_EQ(died.response.error().code, Code::program_failed);
  EXPECT_THAT(died.response.error().message, HasSubstr("without any output"));
  EXPECT_THAT(current->failure_log, HasSubstr("about to <die>"));
  EXPECT_THAT(current->failure_log, HasSubstr("status 9"));
  EXPECT_THAT(current->failure_page_html, HasSubstr("about to &lt;die&gt;"));
  EXPECT_THAT(logged(), HasSubstr("] " + std::string(32, 'a') + ": about to <die>\n"));
  EXPECT_EQ(request("/cgi-bin/nothing.cgi").response.error().code, Code::program_failed);
  EXPECT_THAT(request("/cgi-bin/chatter.cgi").response.error().message, HasSubstr("\"hello world\""));
  const auto status = model.status->status();
  EXPECT_EQ(status.requests, 3u);
  EXPECT_EQ(status.failures, 3u);
  EXPECT_THAT(status.last_failure, HasSubstr("chatter.cgi"));
}

TEST_F(Cgi, WhatCannotBeRun) {
  script("plain.txt", "text", 0644);
  script("bad.cgi", "#!/no/such/interpreter\n");
  std::filesystem::create_directory(folder + "/sub");
  EXPECT_EQ(request("/cgi-bin/none.cgi").response.error().code, Code::not_found);
  EXPECT_EQ(request("/cgi-bin/plain.txt").response.error().code, Code::forbidden);
  EXPECT_THAT(current->failure_log, HasSubstr("chmod +x"));
  EXPECT_EQ(request("/cgi-bin/sub").response.error().code, Code::forbidden);
  EXPECT_EQ(request("/cgi-bin/bad.cgi").response.error().code, Code::program_failed);
  EXPECT_THAT(current->failure_log, HasSubstr("/no/such/interpreter"));
}

TEST_F(Cgi, Timeouts) {
  shell("silent.cgi", "exec sleep 100");
  shell("stalls.cgi", "printf 'X: y\\n\\npart'; exec sleep 100");
  program.cgi.first_byte_timeout = 100ms;
  program.cgi.idle_timeout = 100ms;
  const auto silent = request("/cgi-bin/silent.cgi");
  EXPECT_EQ(silent.response.error().code, Code::program_timeout);
  EXPECT_THAT(silent.response.error().message, HasSubstr("first_byte_timeout"));
  const auto stalls = request("/cgi-bin/stalls.cgi");
  EXPECT_EQ(stalls.body, "part");
  ASSERT_TRUE(stalls.body_error);
  EXPECT_EQ(stalls.body_error->code, Code::program_timeout);
  run_until([this] { return all_have_ended(); });
}

TEST_F(Cgi, WholeRequestHasATimeToo) {
  shell("drips.cgi", "printf 'X: y\\n\\n'; while :; do echo x; sleep 0.02; done");
  program.timeout = 300ms;
  const auto drips = request("/cgi-bin/drips.cgi");
  ASSERT_TRUE(drips.body_error);
  EXPECT_EQ(drips.body_error->code, Code::program_timeout);
  EXPECT_THAT(drips.body_error->message, HasSubstr("(timeout)"));
}

TEST_F(Cgi, ClientThatLeavesEndsTheScript) {
  shell("long.cgi", "printf 'X: y\\n\\npart'; exec sleep 100");
  start("/cgi-bin/long.cgi");
  run_until([this] { return outcome->body == "part"; });
  task = net::Running();
  outcome.reset();
  run_until([this] { return all_have_ended(); });
  EXPECT_EQ(spawner.states[0]->status->signal, SIGTERM);
}

TEST_F(Cgi, OrItGoesOnWithoutTheClient) {
  program.cgi.on_disconnect = config::OnDisconnect::continue_;
  shell("long.cgi",
        "printf 'X: y\\n\\npart'; read x < " + folder + "/go; head -c 200000 /dev/zero; touch " + folder + "/done");
  ::mkfifo((folder + "/go").c_str(), 0600);
  start("/cgi-bin/long.cgi");
  run_until([this] { return outcome->body == "part"; });
  task = net::Running();
  outcome.reset();
  current.reset();
  std::ofstream(folder + "/go") << "x\n";
  run_until([this] { return all_have_ended(); });
  EXPECT_EQ(spawner.states[0]->status->code, 0);
  EXPECT_TRUE(std::filesystem::exists(folder + "/done"));
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

TEST_F(Cgi, OutputClosedEarlyAndALingeringProcess) {
  shell("lingers.cgi", "printf 'X: y\\n\\nhello'; exec >&- 2>&-; exec sleep 100");
  program.cgi.linger = 50ms;
  const auto got = request("/cgi-bin/lingers.cgi");
  EXPECT_EQ(got.body, "hello");
  EXPECT_FALSE(got.body_error);
  run_until([this] { return all_have_ended(); });
}

TEST_F(Cgi, GrandchildThatHoldsTheOutputOpen) {
  shell("daemon.cgi", "printf 'X: y\\n\\nhello'; sleep 100 & exit 0");
  shell("mute.cgi", "sleep 100 & exit 0");
  program.cgi.linger = 50ms;
  const auto got = request("/cgi-bin/daemon.cgi");
  EXPECT_EQ(got.body, "hello");
  EXPECT_FALSE(got.body_error);
  EXPECT_EQ(request("/cgi-bin/mute.cgi").response.error().code, Code::program_failed);
}

TEST_F(Cgi, ALotOfStandardErrorIsNoDeadlock) {
  shell("noisy.cgi",
        "i=0; while [ $i -lt 3000 ]; do echo 'this is a line of some length for the log of the program' >&2; "
        "i=$((i+1)); done; printf 'X: y\\n\\nok'");
  EXPECT_EQ(request("/cgi-bin/noisy.cgi").body, "ok");
  EXPECT_THAT(logged(), HasSubstr("this is a line"));
}

TEST_F(Cgi, NoPlaceIsServiceUnavailable) {
  shell("long.cgi", "exec sleep 100");
  program.cgi.concurrency = 1;
  program.queue_timeout = 50ms;
  start("/cgi-bin/long.cgi");
  run_until([this] { return model.status->status().processes.size() == 1; });
  auto first_task = std::move(task);
  auto first_exchange = std::move(current);
  auto first_outcome = std::move(outcome);
  const auto got = request("/cgi-bin/long.cgi");
  EXPECT_EQ(got.response.error().code, Code::program_unavailable);
  EXPECT_FALSE(got.response.error().detail.empty());
  EXPECT_EQ(spawner.asked, 1);
}

TEST_F(Cgi, HelperThatCannotStart) {
  shell("x.cgi", "printf 'X: y\\n\\n'");
  spawner.refusal = Error{Code::program_unavailable, "no room", "1"};
  EXPECT_EQ(request("/cgi-bin/x.cgi").response.error().code, Code::program_unavailable);
  EXPECT_EQ(model.status->status().running, 0u);
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
