#pragma once
// For tests of calls to workers: a worker on a thread that does what the test says, a lease, and a caller on a loop.
#include <sys/socket.h>

#include <cstring>
#include <future>

#include "exchange/body.h"
#include "upstream/call_rig_test.h"
#include "upstream/worker_call.h"

namespace fivefold::upstream {

using gateway::worker::Frame;
using gateway::worker::FrameHeader;
using gateway::worker::RequestHeader;
namespace worker = gateway::worker;

struct Heard {
  FrameHeader header;
  std::string content;
  bool ended = false;  // the channel has
  RequestHeader request() const {
    RequestHeader r;
    std::memcpy(&r, content.data(), sizeof r);
    return r;
  }
  std::string variables() const { return content.substr(sizeof(RequestHeader), request().variables_size); }
  std::string body() const { return content.substr(sizeof(RequestHeader) + request().variables_size); }
};

// The worker's end of a channel, on a thread of its own.
class WorkerSide : public AppSide {
 public:
  using AppSide::AppSide;
  Heard hear() {
    Heard heard;
    const auto head = read(sizeof(FrameHeader));
    heard.ended = head.size() < sizeof(FrameHeader);
    if (heard.ended) return heard;
    std::memcpy(&heard.header, head.data(), sizeof heard.header);
    heard.content = read(heard.header.size);
    if (heard.header.kind == Frame::request) {
      stream = heard.header.stream;
      claimed = claims.take_back(stream);  // both sides do the same
    }
    return heard;
  }
  static std::string frame(std::uint32_t stream, Frame kind, std::string_view content = {}, std::uint8_t flags = 0) {
    const FrameHeader header{
        .size = static_cast<std::uint32_t>(content.size()), .kind = kind, .flags = flags, .stream = stream};
    return std::string(reinterpret_cast<const char*>(&header), sizeof header).append(content);
  }
  bool say(Frame kind, std::string_view content = {}, std::uint8_t flags = 0) {
    return send(frame(stream, kind, content, flags));
  }
  bool want(std::uint32_t bytes) { return say(Frame::want, {reinterpret_cast<const char*>(&bytes), sizeof bytes}); }
  // A whole answer in one write.
  bool answer(std::string_view body, std::string_view head = "Status: 200 OK\r\nContent-Type: text/plain\r\n") {
    return send(frame(stream, Frame::head, head) + frame(stream, Frame::output, body) +
                frame(stream, Frame::end, {}, worker::kIdle));
  }
  std::uint32_t stream = 0;
  ChannelClaims claims = {};
  bool claimed = false;  // the request that was heard last
};

struct LeaseState {
  std::atomic<bool> gone = false;
  std::atomic<bool> leaves = false;
  std::string broke, died, killed, log;
};

class FakeLease final : public WorkerOwner {
 public:
  explicit FakeLease(LeaseState& state) : state_(state) {}
  ~FakeLease() override { state_.gone = true; }
  void died(const Error& error) override { state_.died += error.message; }
  void broke(const Error& error) override { state_.broke += error.message; }
  void log(int severity, std::string_view text, bool ends) override {
    state_.log += std::string(text) + (ends ? "<" + std::to_string(severity) + ">" : "");
  }
  void outlives_request() override {}
  void leaves() override { state_.leaves = true; }
  void kill(std::string reason) override { state_.killed += reason; }

 private:
  LeaseState& state_;
};

struct WorkerOutcome {
  std::optional<WorkerFailure> failure;
  Answer answer;
  std::string body;
  std::optional<Error> broken;
  bool whole = false;
  bool gone_at_answer = false;
};

class WorkerCallTest : public CallRig {
 protected:
  ~WorkerCallTest() override {
    world_.background.clear();
    channel_.reset();
    if (thread_.joinable()) thread_.join();
  }
  void worker(std::function<void(WorkerSide&)> script) {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    claims_ = std::move(*WorkerClaims::make());
    const auto claims = claims_->of_channel(0);
    channel_.emplace(loop_, UniqueFd(pair[0]), 1000, claims);
    thread_ = std::thread([script = std::move(script), claims, fd = pair[1]] {
      WorkerSide side(fd);
      side.claims = claims;
      script(side);
    });
  }
  WorkerCall make(exchange::Body body = {}, std::optional<std::uint64_t> length = 0) {
    return {.channel = *channel_,
            .owner = std::make_unique<FakeLease>(lease_),
            .exchange = exchange_,
            .body = std::move(body),
            .body_length = length,
            .hard = hard_,
            .head_limit = 1000,
            .cgi_redirects = cgi_redirects_,
            .buffer = buffer_};
  }
  static process::StringBlock variables() {
    process::StringBlock block;
    block.add("PATH_INFO", "/x");
    return block;
  }
  static net::Task<void> call(WorkerCallTest& test, WorkerCall prepared, WorkerOutcome& result) {
    auto got = co_await call_worker(std::move(prepared), variables());
    result.gone_at_answer = test.lease_.gone;
    if (!got) {
      result.failure = std::move(got.error());
      co_return;
    }
    result.answer = std::move(*got);
    result.whole = result.answer.body.as_bytes() != nullptr || result.answer.body.empty();
    if (test.before_body_) co_await test.before_body_(test);
    while (test.read_body_) {
      auto chunk = co_await result.answer.body.next();
      if (!chunk) result.broken = std::move(chunk.error());
      if (!chunk || chunk->empty()) break;
      result.body.append(*chunk);
    }
    result.answer.body = {};
  }
  WorkerOutcome ask(exchange::Body body = {}, std::optional<std::uint64_t> length = 0) {
    WorkerOutcome result;
    run(call(*this, make(std::move(body), length), result));
    return result;
  }
  static net::Task<void> until(WorkerCallTest& test, const std::atomic<bool>& flag) {
    while (!flag) co_await net::sleep_until(test.loop_, net::Clock::now() + 1ms);
  }
  static net::Task<void> until_gone(WorkerCallTest& test) {
    while (!test.lease_.gone) co_await net::sleep_until(test.loop_, net::Clock::now() + 1ms);
  }

  // It hears the end of its channel, and ends.
  static net::Task<void> end_worker(WorkerCallTest& test) {
    ::shutdown(test.channel_->stream()->fd(), SHUT_WR);
    co_return;
  }

  LeaseState lease_;
  std::unique_ptr<WorkerClaims> claims_;
  std::optional<WorkerChannel> channel_;
  std::thread thread_;
  net::TimePoint hard_ = net::kNever;
  bool cgi_redirects_ = false;
  std::size_t buffer_ = 1024 * 1024;
  bool read_body_ = true;
  net::Task<void> (*before_body_)(WorkerCallTest&) = nullptr;
};

}  // namespace fivefold::upstream
