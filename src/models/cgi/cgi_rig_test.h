#pragma once
// For tests of whole requests: a program's handler with real processes and pipes on a loop.
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

}  // namespace fivefold::models::cgi
