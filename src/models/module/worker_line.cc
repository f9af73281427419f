#include "models/module/worker_line.h"

#include <algorithm>
#include <utility>

#include "models/module/lease_owner.h"

namespace fivefold::models::module {

std::vector<WorkerLine::Worker>::iterator WorkerLine::find(const upstream::WorkerChannel& channel) {
  return std::ranges::find(workers_, &channel, &Worker::channel);
}

void WorkerLine::begins(upstream::WorkerChannel& channel) {
  workers_.push_back({.channel = &channel, .since = loop_.now()});
}

void WorkerLine::sent(upstream::WorkerChannel& channel) {
  if (unsent_.empty()) return;
  if (const auto worker = find(channel); worker != workers_.end()) fill(*worker, loop_.now());
}

bool WorkerLine::has_room(const Worker& worker, net::TimePoint now) const {
  return worker.ahead.size() < kAhead && worker.in_a_row + worker.ahead.size() < kInARow &&
         now - worker.since < kShort && worker.channel->takes_more();
}

bool WorkerLine::any_held_up(const Worker& but, net::TimePoint now) const {
  return std::ranges::any_of(workers_, [&](const Worker& worker) {
    return &worker != &but && !worker.ahead.empty() && now - worker.since >= kShort;
  });
}

void WorkerLine::fill(Worker& worker, net::TimePoint now) {
  if (worker.ahead.size() > kRefill || average_ >= kShort || any_held_up(worker, now)) return;
  while (!unsent_.empty() && has_room(worker, now)) {
    WaitingRequest& waiting = *unsent_.front();
    leave(waiting);
    auto exchange = waiting.send_(*worker.channel);
    if (!exchange) continue;
    auto ahead = std::make_shared<Ahead>(Ahead{.waiting = &waiting, .exchange = std::move(exchange), .program = {}});
    waiting.ahead_ = ahead;
    worker.ahead.push_back(std::move(ahead));
  }
}

void WorkerLine::join(WaitingRequest& waiting) {
  waiting.unsent_at_ = unsent_.insert(unsent_.end(), &waiting);
  const auto now = loop_.now();
  Worker* best = nullptr;
  for (Worker& worker : workers_)
    if (has_room(worker, now) && (!best || worker.ahead.size() < best->ahead.size())) best = &worker;
  if (best) fill(*best, now);
}

void WorkerLine::leave(WaitingRequest& waiting) {
  if (waiting.unsent_at_) unsent_.erase(*std::exchange(waiting.unsent_at_, std::nullopt));
}

bool WorkerLine::take_back(WaitingRequest& waiting) {
  if (!waiting.ahead_->exchange->take_back(waiting.body_, false)) return false;
  for (Worker& worker : workers_) std::erase(worker.ahead, waiting.ahead_);
  waiting.ahead_.reset();
  return true;
}

void WorkerLine::ended(upstream::WorkerChannel& channel, std::unique_ptr<process::Lease> lease, bool goes_on) {
  const auto worker = find(channel);
  if (worker == workers_.end()) return;
  const auto now = loop_.now();
  const auto took = std::min<std::chrono::nanoseconds>(now - worker->since, 4 * kShort);
  average_ += (took - average_) / 8;
  const bool gone = !channel.stream();
  if (!worker->ahead.empty()) goes_on = goes_on && !gone && lease->serves_on();
  while (!worker->ahead.empty()) {
    auto next = std::move(worker->ahead.front());
    worker->ahead.pop_front();
    WaitingRequest* waiting = next->waiting;
    if (!goes_on) {
      exchange::Body body;
      if (next->exchange->take_back(waiting ? waiting->body_ : body, gone)) {
        if (!waiting) continue;
        waiting->ahead_.reset();
        if (!waiting->in_pool_) waiting->decided_.set();
        continue;
      }
      if (gone) {
        if (waiting) waiting->lost_ = true;
        if (waiting) waiting->decided_.set();
        continue;
      }
    }
    worker->since = now;
    ++worker->in_a_row;
    if (goes_on) fill(*worker, now);
    return pass_on(channel, std::move(lease), std::move(next));
  }
  workers_.erase(worker);
  // What lies behind the answer would be the beginning of somebody else's.
  if (channel.stream() && !channel.stream()->buffered().empty()) {
    lease->kill("it has said more than it was asked for");
    channel.close();
  }
}

// The last thing that is done with the line: what nobody waits for may end within it, and come back here.
void WorkerLine::pass_on(upstream::WorkerChannel& channel, std::unique_ptr<process::Lease> lease,
                         std::shared_ptr<Ahead> ahead) {
  if (WaitingRequest* waiting = ahead->waiting) {
    lease->pass_on(waiting->wish_);
    waiting->handed_ = std::move(lease);
    waiting->decided_.set();
    return;
  }
  lease->pass_on({.request_id = ahead->id, .what = ahead->what});
  lease->keep_words();
  ahead->exchange->abandon_with(
      std::make_unique<LeaseOwner>(std::move(lease), ahead->program, std::move(ahead->id), this, &channel));
}

// ---- WaitingRequest ----

WaitingRequest::WaitingRequest(std::shared_ptr<const ModuleProgram> program, WorkerLine& line, net::Loop& loop,
                               process::LeaseWish wish, exchange::Body& body, SendAhead send)
    : program_(std::move(program)),
      line_(line),
      loop_(loop),
      wish_(wish),
      body_(body),
      send_(std::move(send)),
      decided_(loop) {}

WaitingRequest::~WaitingRequest() {
  line_.leave(*this);
  if (!ahead_) return;
  if (handed_) {
    auto& channel = ahead_->exchange->channel();
    ahead_->exchange->abandon_with(
        std::make_unique<LeaseOwner>(std::move(handed_), program_, std::string(wish_.request_id), &line_, &channel));
    return;
  }
  if (lost_ || line_.take_back(*this)) return;
  ahead_->waiting = nullptr;
  ahead_->program = program_;
  ahead_->id = wish_.request_id;
  ahead_->what = wish_.what;
}

net::Task<void> WaitingRequest::wait_in_pool() {
  in_pool_ = true;
  auto lease = co_await program_->pool->lease(loop_, wish_);
  in_pool_ = false;
  from_pool_ = std::move(lease);
  decided_.set();
}

net::Task<Result<WaitingRequest::Turn>> WaitingRequest::turn() {
  pool_wait_ = net::Running(wait_in_pool());
  if (in_pool_) line_.join(*this);
  while (true) {
    co_await decided_.wait();
    decided_.reset();
    if (handed_) {
      pool_wait_ = {};
      auto sent = std::exchange(ahead_, nullptr)->exchange;
      co_return Turn{std::move(handed_), std::move(sent)};
    }
    if (lost_) co_return fail(Code::program_failed, "The worker ended before it had answered.");
    if (from_pool_) {
      if (!ahead_ || line_.take_back(*this)) {
        line_.leave(*this);
        if (!*from_pool_) co_return std::unexpected(std::move(from_pool_->error()));
        co_return Turn{std::move(**from_pool_), nullptr};
      }
      // It is being answered where it was sent to, and gets that lease.
      from_pool_.reset();
    } else if (!ahead_ && !in_pool_) {
      pool_wait_ = net::Running(wait_in_pool());
    }
  }
}

}  // namespace fivefold::models::module
