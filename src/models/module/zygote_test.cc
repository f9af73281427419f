// A zygote that a test plays: what the server asks of it, and what is made of its words and of its end.
#include "models/module/zygote.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <boost/asio/io_context.hpp>
#include <csignal>
#include <cstring>

#include "models/module/zygotes.h"
#include "net/loop.h"

namespace fivefold::models::module {
namespace {

using namespace std::chrono_literals;
using gateway::worker::Control;
using gateway::worker::ControlHeader;
using testing::HasSubstr;

class FakeChild final : public process::Child {
 public:
  FakeChild(net::Loop& loop, int& ended) : exited_(loop), ended_(ended) {}
  ~FakeChild() override { ++ended_; }
  pid_t pid() const override { return 4711; }
  const std::optional<process::ExitStatus>& exit_status() const override { return status_; }
  net::Event& exited() override { return exited_; }
  void signal(int) override {}
  void set_grace(std::chrono::milliseconds) override {}
  void exit(process::ExitStatus status) {
    status_ = status;
    exited_.set();
  }

 private:
  net::Event exited_;
  int& ended_;
  std::optional<process::ExitStatus> status_;
};

// The zygote's end of the control socket, without a process behind it.
struct FakeSpawner final : process::Spawner {
  explicit FakeSpawner(net::Loop& l) : loop(l) {}
  net::Task<Result<std::unique_ptr<process::Child>>> spawn(process::SpawnPlan plan) override {
    ++spawned;
    if (refuse) co_return fail(Code::program_failed, "cannot execute fivefold-x: No such file or directory");
    earlier.push_back(std::move(control));
    control.reset(::dup(plan.extra_fds.at(0)));
    output.reset(::dup(plan.stderr_fd));
    auto made = std::make_unique<FakeChild>(loop, ended);
    child = made.get();
    co_await net::others_first(loop);
    if (!greeting.empty()) say(Control::ready, 0, 0, greeting);
    co_return std::unique_ptr<process::Child>(std::move(made));
  }
  void say(Control kind, std::uint32_t id, std::int32_t value, std::string_view text = {}, std::vector<int> fds = {}) {
    const ControlHeader header{.kind = kind, .id = id, .value = value, .size = static_cast<std::uint32_t>(text.size())};
    const auto message = std::string(reinterpret_cast<const char*>(&header), sizeof header).append(text);
    EXPECT_TRUE(net::send_message(control.get(), message, fds));
  }
  ControlHeader hear() {
    ControlHeader header{};
    auto message = net::receive_message(control.get());
    if (message && message->bytes.size() >= sizeof header) std::memcpy(&header, message->bytes.data(), sizeof header);
    return header;
  }
  net::Loop& loop;
  std::string greeting = "Fake 1";
  bool refuse = false;
  int spawned = 0;
  int ended = 0;
  UniqueFd control, output;
  std::vector<UniqueFd> earlier;
  FakeChild* child = nullptr;
};

struct Story final : StartStory {
  void step(std::string name, std::string note) override { text += name + ": " + note + "\n"; }
  void output(std::string_view bytes) override { text += bytes; }
  std::string text;
};

class ZygoteTest : public testing::Test {
 protected:
  ~ZygoteTest() override {
    zygote_.reset();
    loop_.context().restart();
    loop_.context().poll();
  }
  void run(net::Task<void> task) {
    net::TaskGroup group;
    group.on_empty([this] { loop_.stop(); });
    loop_.context().restart();
    group.start(std::move(task));
    if (group.size() == 0) return;
    net::Timer guard(loop_.timers(), [](void* self) { static_cast<net::Loop*>(self)->stop(); }, &loop_);
    guard.set(net::Clock::now() + 20s);
    loop_.run();
    EXPECT_EQ(group.size(), 0u) << "it did not end";
  }
  static net::Task<void> turns(net::Loop& loop) { co_await net::sleep_until(loop, loop.now() + 10ms); }
  static net::Task<void> start_it(ZygoteTest& test, std::chrono::milliseconds timeout) {
    test.zygote_ = std::make_shared<Zygote>(test.loop_, test.log_, "blog");
    auto ready = co_await test.zygote_->start(test.spawner_, {}, timeout, test.story_);
    test.started_ = std::move(ready);
  }
  void start(std::chrono::milliseconds timeout = 10s) { run(start_it(*this, timeout)); }
  static net::Task<void> fork_it(ZygoteTest& test, std::uint32_t id) {
    auto worker = co_await test.zygote_->fork(id, 2);
    test.forked_.emplace(std::move(worker));
  }
  // Asks for a worker and lets the zygote hear of it.
  void ask(std::uint32_t id) { run(ask_it(*this, id)); }
  static net::Task<void> ask_it(ZygoteTest& test, std::uint32_t id) {
    test.tasks_.start(fork_it(test, id));
    const auto heard = test.spawner_.hear();
    EXPECT_EQ(heard.kind, Control::fork);
    EXPECT_EQ(heard.id, id);
    EXPECT_EQ(heard.value, 2) << "channels";
    co_return;
  }
  static net::Task<void> fail_later(ZygoteTest& test) {
    co_await net::sleep_until(test.loop_, test.loop_.now() + 5ms);
    EXPECT_EQ(::write(test.spawner_.output.get(), "no such module\n", 15), 15);
    test.spawner_.output.reset();
    test.spawner_.control.reset();
    test.spawner_.child->exit({.code = 3});
  }
  void settle() { run(turns(loop_)); }

  net::Loop loop_{0};
  LineFile log_{UniqueFd(::open("/dev/null", O_WRONLY | O_CLOEXEC))};
  FakeSpawner spawner_{loop_};
  Story story_;
  std::shared_ptr<Zygote> zygote_;
  Result<void> started_;
  std::optional<Result<Zygote::Worker>> forked_;
  net::TaskGroup tasks_;
};

TEST_F(ZygoteTest, IsReadyWhenItSaysSo) {
  start();
  ASSERT_TRUE(started_) << started_.error().message;
  EXPECT_TRUE(zygote_->alive());
  EXPECT_EQ(zygote_->version(), "Fake 1");
  EXPECT_THAT(story_.text, HasSubstr("spawned: pid 4711"));
}

TEST_F(ZygoteTest, AStartThatFailsTellsHowAndWhatItSaid) {
  spawner_.greeting.clear();
  tasks_.start(fail_later(*this));
  start();
  ASSERT_FALSE(started_);
  EXPECT_EQ(started_.error().code, Code::program_failed);
  EXPECT_THAT(started_.error().message, HasSubstr("exited with status 3"));
  EXPECT_THAT(story_.text, HasSubstr("no such module"));
  EXPECT_THAT(zygote_->output_tail(), HasSubstr("no such module"));
}

TEST_F(ZygoteTest, AStartHasItsTime) {
  spawner_.greeting.clear();
  start(20ms);
  ASSERT_FALSE(started_);
  EXPECT_THAT(started_.error().message, HasSubstr("start_timeout"));
}

TEST_F(ZygoteTest, AWorkerComesWithItsChannelsAndItsEnd) {
  start();
  ask(1);
  int pair[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
  spawner_.say(Control::started, 1, 1234, {}, {pair[0], pair[1]});
  settle();
  ASSERT_TRUE(forked_ && *forked_);
  auto& worker = **forked_;
  EXPECT_EQ(worker.child->pid(), 1234);
  EXPECT_EQ(worker.channels.size(), 2u);
  worker.child->signal(SIGTERM);
  const auto heard = spawner_.hear();
  EXPECT_EQ(heard.kind, Control::signal);
  EXPECT_EQ(heard.id, 1u);
  EXPECT_EQ(heard.value, SIGTERM);
  EXPECT_FALSE(worker.child->exit_status());
  spawner_.say(Control::exited, 1, SIGSEGV);  // as of waitpid(2)
  settle();
  ASSERT_TRUE(worker.child->exit_status());
  EXPECT_EQ(worker.child->exit_status()->signal, SIGSEGV);
  ::close(pair[0]);
  ::close(pair[1]);
}

TEST_F(ZygoteTest, AnEndThatComesWithTheStartIsNotMissed) {
  start();
  ask(1);
  spawner_.say(Control::started, 1, 1234);
  spawner_.say(Control::exited, 1, 256);
  settle();
  ASSERT_TRUE(forked_ && *forked_);
  ASSERT_TRUE((*forked_)->child->exit_status());
  EXPECT_EQ((*forked_)->child->exit_status()->code, 1);
}

TEST_F(ZygoteTest, ARefusalIsToldInWords) {
  start();
  ask(1);
  spawner_.say(Control::refused, 1, EAGAIN, "fork");
  settle();
  ASSERT_TRUE(forked_);
  ASSERT_FALSE(*forked_);
  EXPECT_THAT(forked_->error().message, HasSubstr("fork: Resource temporarily unavailable"));
}

TEST_F(ZygoteTest, AWorkerThatNobodyWaitsForIsKilled) {
  start();
  ask(1);
  tasks_.clear();
  spawner_.say(Control::started, 1, 1234);
  settle();
  const auto heard = spawner_.hear();
  EXPECT_EQ(heard.kind, Control::signal);
  EXPECT_EQ(heard.value, SIGKILL);
}

TEST_F(ZygoteTest, ItsEndFailsWhoWaitsAndIsToldOnce) {
  start();
  ask(1);
  std::string told;
  zygote_->on_end([&told](std::string how) { told += how; });
  spawner_.child->exit({.signal = SIGKILL});
  spawner_.control.reset();
  settle();
  ASSERT_TRUE(forked_ && !*forked_);
  EXPECT_FALSE(zygote_->alive());
  EXPECT_THAT(told, HasSubstr("signal 9"));
  run(fork_it(*this, 2));
  EXPECT_FALSE(*forked_) << "and nobody is forked from it any more";
}

TEST_F(ZygoteTest, WorkersOutliveItAndTheirEndsAreSeen) {
  start();
  ask(1);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::close_range(3, ~0U, 0);
    ::pause();
    ::_exit(0);
  }
  spawner_.say(Control::started, 1, pid);
  settle();
  ASSERT_TRUE(forked_ && *forked_);
  auto& child = *(*forked_)->child;
  int asked_to_leave = 0;
  child.on_orphan_told_to_leave([&asked_to_leave] { ++asked_to_leave; });
  spawner_.control.reset();
  settle();
  EXPECT_FALSE(child.exit_status()) << "it goes on";
  child.signal(SIGTERM);
  EXPECT_EQ(asked_to_leave, 1);
  EXPECT_EQ(spawner_.ended, 0);
  ::kill(pid, SIGKILL);
  for (int i = 0; i < 100 && !child.exit_status(); ++i) settle();
  EXPECT_TRUE(child.exit_status());
  ::waitpid(pid, nullptr, 0);
}

TEST_F(ZygoteTest, NonsenseIsIgnored) {
  start();
  EXPECT_TRUE(net::send_message(spawner_.control.get(), "x"));
  spawner_.say(static_cast<Control>(99), 1, 1);
  spawner_.say(Control::started, 77, -1);
  spawner_.say(Control::exited, 77, 1);
  spawner_.say(Control::refused, 77, 1, std::string(4000, 'x'));
  settle();
  EXPECT_TRUE(zygote_->alive());
}

// ---- Zygotes: which one the next worker is forked from ----

class ZygotesTest : public ZygoteTest {
 protected:
  ~ZygotesTest() override {
    one_.reset();
    other_.reset();
  }
  static net::Task<void> get_it(ZygotesTest& test, std::string fingerprint, std::shared_ptr<process::Journey> journey,
                                std::shared_ptr<Zygote>& got, std::string& error) {
    auto zygote = co_await test.zygotes_.get({.command_line = "fivefold-x", .fingerprint = std::move(fingerprint)},
                                             test.spawner_, journey);
    if (zygote)
      got = std::move(*zygote);
    else
      error = zygote.error().message;
  }
  std::shared_ptr<Zygote> get(const std::string& fingerprint = "a") {
    std::shared_ptr<Zygote> got;
    std::string error;
    run(get_it(*this, fingerprint, journey_, got, error));
    return got;
  }
  std::string died_;
  Zygotes zygotes_{loop_, log_, "blog", [this](std::string how) { died_ += how; }};
  std::shared_ptr<process::Journey> journey_ = std::make_shared<process::Journey>(net::Clock::now());
  std::shared_ptr<Zygote> one_, other_;
};

TEST_F(ZygotesTest, OneServesUntilTheProgramIsAnotherOne) {
  one_ = get();
  ASSERT_TRUE(one_);
  EXPECT_EQ(get(), one_);
  EXPECT_EQ(spawner_.spawned, 1);
  other_ = get("b");
  EXPECT_NE(other_, one_);
  EXPECT_TRUE(one_->alive()) << "its workers are replaced one by one";
  zygotes_.renew();
  EXPECT_NE(get("b"), other_);
  EXPECT_EQ(spawner_.spawned, 3);
  EXPECT_EQ(died_, "");
}

TEST_F(ZygotesTest, ADeadOneIsReplacedAndItsDeathTold) {
  one_ = get();
  spawner_.child->exit({.signal = SIGKILL});
  spawner_.control.reset();
  settle();
  EXPECT_THAT(died_, HasSubstr("signal 9"));
  other_ = get();
  ASSERT_TRUE(other_);
  EXPECT_NE(other_, one_);
}

TEST_F(ZygotesTest, AFailedStartIsToldToAllWhoWaitForIt) {
  spawner_.refuse = true;
  auto second = std::make_shared<process::Journey>(net::Clock::now());
  std::shared_ptr<Zygote> got;
  std::string error;
  run(get_it(*this, "a", second, got, error));
  EXPECT_THAT(error, HasSubstr("No such file"));
  EXPECT_THAT(second->as_text(), HasSubstr("fivefold-x"));
  EXPECT_THAT(second->mend(), HasSubstr("fivefold check"));
  spawner_.refuse = false;
  EXPECT_TRUE(get()) << "the next one tries again";
}

}  // namespace
}  // namespace fivefold::models::module
