#pragma once
// For tests of whole calls: an application on a real Unix socket that does what the test says, and a caller on a loop.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <cstdlib>
#include <functional>
#include <list>
#include <string>
#include <thread>

#include "net/blocking.h"
#include "process/child.h"
#include "upstream/call.h"
#include "upstream/connections.h"

namespace fivefold::upstream {

using namespace std::chrono_literals;
using namespace std::string_literals;
using testing::HasSubstr;
using testing::Not;

// The application's end of one connection, on a thread of its own: everything blocks, at most 20 s.
class AppSide {
 public:
  explicit AppSide(int fd) : fd_(fd) {}
  ~AppSide() { close(); }
  AppSide(const AppSide&) = delete;
  int fd() const { return fd_; }

  // Up to and with the empty line; what has come behind it waits for the next read.
  std::string read_head() {
    while (buffer_.find("\r\n\r\n") == std::string::npos)
      if (!more()) return std::exchange(buffer_, {});
    return take(buffer_.find("\r\n\r\n") + 4);
  }
  std::string read(std::size_t bytes) {
    while (buffer_.size() < bytes)
      if (!more()) break;
    return take(std::min(bytes, buffer_.size()));
  }
  std::string read_to_end() {
    while (more()) {
    }
    return std::exchange(buffer_, {});
  }
  // Whether the caller has closed: nothing more can come.
  bool at_end() { return buffer_.empty() && !more(); }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }
  void shutdown_write() { ::shutdown(fd_, SHUT_WR); }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  std::string take(std::size_t bytes) {
    std::string taken = buffer_.substr(0, bytes);
    buffer_.erase(0, bytes);
    return taken;
  }
  bool more() {
    pollfd wait{fd_, POLLIN, 0};
    if (::poll(&wait, 1, 20'000) != 1) return false;
    char bytes[65536];
    const auto got = ::recv(fd_, bytes, sizeof bytes, 0);
    if (got <= 0) return false;
    buffer_.append(bytes, static_cast<std::size_t>(got));
    return true;
  }
  int fd_;
  std::string buffer_;
};

// Listens on a Unix socket; `script` runs for every connection, each on its own thread.
class FakeApplication {
 public:
  explicit FakeApplication(std::function<void(AppSide&)> script) : script_(std::move(script)) {
    char folder[] = "/tmp/fivefold_upstream_XXXXXX";
    EXPECT_NE(::mkdtemp(folder), nullptr);
    folder_ = folder;
    path_ = folder_ + "/socket";
    listener_ = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_, 64), 0);
    acceptor_ = std::thread([this] { accept_all(); });
  }
  ~FakeApplication() {
    stop();
    ::unlink(path_.c_str());
    ::rmdir(folder_.c_str());
  }
  // Waits until every script has ended.
  void stop() {
    if (listener_ < 0) return;
    ::shutdown(listener_, SHUT_RDWR);
    acceptor_.join();
    ::close(std::exchange(listener_, -1));
    for (auto& thread : connections_) thread.join();
  }
  Endpoint endpoint() const { return {.path = path_}; }
  int accepted() const { return accepted_; }

 private:
  void accept_all() {
    while (true) {
      const int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) return;
      ++accepted_;
      connections_.emplace_back([this, fd] {
        AppSide side(fd);
        script_(side);
      });
    }
  }
  std::function<void(AppSide&)> script_;
  std::string folder_, path_;
  int listener_ = -1;
  std::atomic<int> accepted_ = 0;
  std::list<std::thread> connections_;  // the acceptor's until it has ended
  std::thread acceptor_;
};

// A request body in pieces, each at a later turn of the loop; then its end, an error, or nothing more.
class Pieces final : public exchange::BodySource {
 public:
  Pieces(net::Loop& loop, std::size_t count, std::string piece, std::optional<Error> error = {}, bool ends = true)
      : loop_(loop), count_(count), piece_(std::move(piece)), error_(std::move(error)), ends_(ends), never_(loop) {}
  net::Task<Result<exchange::Chunk>> next() override {
    co_await net::others_first(loop_);
    if (count_ > 0) {
      --count_;
      co_return exchange::Chunk(piece_);
    }
    if (error_) co_return std::unexpected(*error_);
    if (!ends_) co_await never_.wait();
    co_return exchange::Chunk{};
  }

 private:
  net::Loop& loop_;
  std::size_t count_;
  std::string piece_;
  std::optional<Error> error_;
  bool ends_;
  net::Event never_;
};

class NoSpawner final : public process::Spawner {
 public:
  net::Task<Result<std::unique_ptr<process::Child>>> spawn(process::SpawnPlan) override {
    co_return fail(Code::internal, "nothing is started here");
  }
};

struct FakeExchange final : exchange::Exchange {
  explicit FakeExchange(exchange::World& world) : Exchange(world) {}
  net::Task<Result<exchange::Response>> redirect_locally(std::string) override { co_return exchange::Response{}; }
  net::Task<void> send_interim(int status, http::Headers headers) override {
    interim += std::to_string(status) + "|" + headers.wire();
    co_await net::others_first(world.loop);
  }
  std::string interim;
};

struct OwnerState {
  int made = 0, gone = 0, outlived_requests = 0;
  std::string broke, error_output;
};
class FakeOwner final : public CallOwner {
 public:
  explicit FakeOwner(OwnerState& state) : state_(state) { ++state_.made; }
  ~FakeOwner() override { ++state_.gone; }
  void broke(const Error& error) override { state_.broke += error.message; }
  void error_output(std::string_view bytes) override { state_.error_output += bytes; }
  void outlives_request() override { ++state_.outlived_requests; }

 private:
  OwnerState& state_;
};

// What a call came to.
struct Outcome {
  std::optional<CallFailure> failure;
  int status = 0;
  std::string reason, fields, body, send_file, trailers;
  bool whole = false;                   // it came as bytes
  std::size_t idle_at_answer = 0;       // connections at home when the answer was returned
  std::optional<std::uint64_t> length;  // announced with the answer
  std::optional<Error> broken;          // while the body was read
  std::vector<std::string> chunks;
  std::unique_ptr<exchange::Tunnel> tunnel;
};

class CallRig : public testing::Test {
 protected:
  explicit CallRig() : world_{loop_, blocking_, spawner_}, exchange_(world_) {}
  ~CallRig() override {
    home_.reset();
    if (application_) application_->stop();
  }

  void serve(std::function<void(AppSide&)> script, ConnectionLimits limits = {}) {
    application_.emplace(std::move(script));
    home_.emplace(loop_, application_->endpoint(), limits, nullptr, nullptr);
  }
  // An application that answers every request on a connection with `response`.
  void answer_all(std::string response) {
    serve([response](AppSide& app) {
      while (!app.read_head().empty())
        if (!app.send(response)) return;
    });
  }

  net::Task<Result<Call>> prepare() {
    auto connection = home_->take_idle();
    if (!connection) {
      auto opened = co_await home_->open();
      if (!opened) co_return std::unexpected(std::move(opened.error()));
      connection = std::move(*opened);
    }
    co_return Call{.connection = std::move(connection),
                   .home = *home_,
                   .owner = std::make_unique<FakeOwner>(owner_),
                   .exchange = exchange_,
                   .timeouts = timeouts_};
  }

  // Runs `task` until it ends; one that hangs fails the test after 20 s.
  void run(net::Task<void> task) {
    net::TaskGroup group;
    group.on_empty([this] { loop_.stop(); });
    loop_.context().restart();
    group.start(std::move(task));
    if (group.size() == 0) return;
    net::Timer guard(loop_.timers(), [](void* self) { static_cast<net::Loop*>(self)->stop(); }, &loop_);
    guard.set(net::Clock::now() + 20s);
    loop_.run();
    EXPECT_EQ(group.size(), 0u) << "the call did not end";
  }

  net::Loop loop_{0};
  net::BlockingPool blocking_{1};
  NoSpawner spawner_;
  exchange::World world_;
  FakeExchange exchange_;
  OwnerState owner_;
  CallTimeouts timeouts_{.first_byte = 10s, .idle = 10s, .send = 10s};
  std::optional<FakeApplication> application_;
  std::optional<Connections> home_;
};

}  // namespace fivefold::upstream
