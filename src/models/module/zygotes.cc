#include "models/module/zygotes.h"

#include <algorithm>

#include "models/module/start_diagnosis.h"

namespace fivefold::models::module {

// One start, and who waits for it.
struct Zygotes::Start final : StartStory {
  struct Waiter {
    explicit Waiter(net::Loop& loop) : over(loop) {}
    net::Event over;
    std::shared_ptr<process::Journey> journey;
  };
  explicit Start(net::Loop& loop) : home(loop) {}
  void step(std::string name, std::string note) override {
    for (auto* waiter : waiters) waiter->journey->step(name, home.now(), note);
  }
  void output(std::string_view bytes) override {
    for (auto* waiter : waiters) waiter->journey->output(bytes);
  }
  net::Loop& home;
  std::vector<Waiter*> waiters;
  std::optional<Result<std::shared_ptr<Zygote>>> outcome;
};

Zygotes::Zygotes(net::Loop& home, LineFile& log, std::string program, std::function<void(std::string how)> died)
    : home_(home), log_(log), program_(std::move(program)), died_(std::move(died)) {}

Zygotes::~Zygotes() {
  tasks_.clear();
  renew();
}

net::Task<Result<std::shared_ptr<Zygote>>> Zygotes::get(ZygotePlan plan, process::Spawner& spawner,
                                                        std::shared_ptr<process::Journey> journey) {
  if (plan.fingerprint != fingerprint_) renew();
  if (current_ && !current_->alive()) current_.reset();
  if (current_) {
    journey->step("zygote", home_.now(), "pid " + std::to_string(current_->pid()) + ", " + current_->version());
    co_return current_;
  }
  journey->step("command", home_.now(), plan.command_line);
  std::shared_ptr<Start> start = starting_;
  const bool first = !start;
  if (first) {
    fingerprint_ = plan.fingerprint;
    start = starting_ = std::make_shared<Start>(home_);
  }
  Start::Waiter waiter(home_);
  waiter.journey = journey;
  struct Registered {
    Start& start;
    Start::Waiter& waiter;
    ~Registered() { std::erase(start.waiters, &waiter); }
  } const registered{*start, waiter};
  start->waiters.push_back(&waiter);
  // Apart from whoever asked for it first: another may wait for it longer.
  if (first) tasks_.start(run(start, std::move(plan), spawner));
  co_await waiter.over.wait();
  co_return *start->outcome;
}

net::Task<void> Zygotes::run(std::shared_ptr<Start> start, ZygotePlan plan, process::Spawner& spawner) {
  auto zygote = std::make_shared<Zygote>(home_, log_, program_);
  auto ready = co_await zygote->start(spawner, std::move(plan.spawn), plan.start_timeout, *start);
  if (ready) {
    start->step("ready", zygote->version());
    if (starting_ == start) {
      current_ = zygote;
      zygote->on_end([this, dead = zygote.get()](std::string how) {
        if (current_.get() == dead) current_.reset();
        if (died_) died_(std::move(how));
      });
    }
    start->outcome.emplace(std::move(zygote));
  } else {
    const auto mend =
        likely_mend({.message = ready.error().message, .output = zygote->output_tail(), .exit = zygote->exit_status()});
    for (auto* waiter : start->waiters) waiter->journey->failed(ready.error().message, mend);
    start->outcome.emplace(std::unexpected(std::move(ready.error())));
  }
  if (starting_ == start) starting_.reset();
  for (auto* waiter : start->waiters) waiter->over.set();
}

void Zygotes::renew() {
  if (current_) current_->on_end({});
  current_.reset();
  starting_.reset();  // who waits for it gets what it comes to
}

}  // namespace fivefold::models::module
