#pragma once
// For tests: starts processes by fork and exec in the test's own process.
#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <list>
#include <memory>
#include <thread>
#include <vector>

#include "process/child.h"

namespace fivefold::models::cgi {

class FakeSpawner final : public process::Spawner {
 public:
  struct State {
    explicit State(net::Loop& loop) : exited(loop) {}
    pid_t pid = -1;
    std::optional<process::ExitStatus> status;
    net::Event exited;
    std::vector<int> signals;  // sent through Child
  };

  explicit FakeSpawner(net::Loop& loop) : loop_(loop) {}
  ~FakeSpawner() override {
    for (auto& state : states) ::kill(-state->pid, SIGKILL);
    waiters_.clear();
  }

  net::Task<Result<std::unique_ptr<process::Child>>> spawn(process::SpawnPlan plan) override {
    ++asked;
    if (refusal) co_return std::unexpected(*refusal);
    auto state = std::make_shared<State>(loop_);
    const auto arguments = pointers(plan.arguments), environment = pointers(plan.environment);
    int report[2];
    if (::pipe2(report, O_CLOEXEC) != 0) co_return fail(Code::internal, "pipe");
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::setpgid(0, 0);
      ::signal(SIGPIPE, SIG_DFL);
      const int null = ::open("/dev/null", O_RDWR);
      ::dup2(plan.stdin_fd >= 0 ? plan.stdin_fd : null, 0);
      ::dup2(plan.stdout_fd, 1);
      ::dup2(plan.stderr_fd, 2);
      if (::chdir(plan.directory.c_str()) == 0) ::execve(plan.executable.c_str(), arguments.data(), environment.data());
      const int error = errno;
      (void)!::write(report[1], &error, sizeof error);
      ::_exit(127);
    }
    ::setpgid(pid, pid);
    ::close(report[1]);
    int error = 0;
    const bool failed = ::read(report[0], &error, sizeof error) == sizeof error;
    ::close(report[0]);
    if (failed) {
      ::waitpid(pid, nullptr, 0);
      co_return fail(Code::program_failed, "cannot execute " + plan.executable + ": " + errno_text(error));
    }
    state->pid = pid;
    states.push_back(state);
    waiters_.emplace_back([state, &loop = loop_] {
      int status = 0;
      ::waitpid(state->pid, &status, 0);
      loop.post([state, status] {
        process::ExitStatus exit;
        if (WIFEXITED(status)) exit.code = WEXITSTATUS(status);
        if (WIFSIGNALED(status)) exit.signal = WTERMSIG(status);
        state->status = exit;
        state->exited.set();
      });
    });
    co_return std::make_unique<FakeChild>(state);
  }

  std::vector<std::shared_ptr<State>> states;
  std::optional<Error> refusal;
  int asked = 0;

 private:
  class FakeChild final : public process::Child {
   public:
    explicit FakeChild(std::shared_ptr<State> state) : state_(std::move(state)) {}
    ~FakeChild() override {
      if (!state_->status) signal(SIGTERM);
    }
    pid_t pid() const override { return state_->pid; }
    const std::optional<process::ExitStatus>& exit_status() const override { return state_->status; }
    net::Event& exited() override { return state_->exited; }
    void signal(int number) override {
      state_->signals.push_back(number);
      ::kill(-state_->pid, number);
    }
    void set_grace(std::chrono::milliseconds) override {}

   private:
    std::shared_ptr<State> state_;
  };

  static std::vector<char*> pointers(const process::StringBlock& block) {
    std::vector<char*> all;
    const char* at = block.bytes().data();
    for (std::uint32_t i = 0; i < block.count(); ++i, at += std::strlen(at) + 1) all.push_back(const_cast<char*>(at));
    all.push_back(nullptr);
    return all;
  }

  net::Loop& loop_;
  std::list<std::jthread> waiters_;
};

}  // namespace fivefold::models::cgi
