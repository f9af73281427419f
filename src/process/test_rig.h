#pragma once
// A real spawning helper in a process of its own, and a loop with a client of it, for tests.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "net/loop.h"
#include "process/spawner_client.h"
#include "process/spawner_process.h"

namespace fivefold::process {

using std::chrono::milliseconds;

// Both ends of a SOCK_SEQPACKET or of a pipe.
struct Ends {
  UniqueFd first, second;
};
inline Ends make_socket() {
  int fds[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0) std::abort();
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}
inline Ends make_pipe() {
  int fds[2];
  if (::pipe2(fds, O_CLOEXEC) != 0) std::abort();
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

inline std::string read_all(int fd) {
  std::string text;
  char buffer[65536];
  for (ssize_t bytes = 0; (bytes = ::read(fd, buffer, sizeof buffer)) != 0;) {
    if (bytes < 0) break;
    text.append(buffer, static_cast<std::size_t>(bytes));
  }
  return text;
}

// True once nobody has the write end of this pipe any more: everyone who inherited it is gone.
inline bool closes_within(int fd, milliseconds time) {
  const auto end = std::chrono::steady_clock::now() + time;
  ::fcntl(fd, F_SETFL, O_NONBLOCK);
  while (std::chrono::steady_clock::now() < end) {
    char buffer[4096];
    const ssize_t bytes = ::read(fd, buffer, sizeof buffer);
    if (bytes == 0) return true;
    if (bytes < 0) ::usleep(1000);
  }
  return false;
}

class HelperProcess {
 public:
  explicit HelperProcess(std::vector<Identity> identities = {Identity{.program = "test"}}, SpawnerLimits limits = {}) {
    Ends ends = make_socket();
    pid_ = ::fork();
    if (pid_ == 0) {
      ends.first.reset();
      ::_exit(run_spawner(std::move(ends.second), limits));
    }
    keeper_ = std::move(ends.first);
    EXPECT_TRUE(send_identities(keeper_.get(), identities));
  }
  ~HelperProcess() { end(); }
  UniqueFd connect() {
    Ends ends = make_socket();
    EXPECT_TRUE(send_client(keeper_.get(), ends.second.get()));
    return std::move(ends.first);
  }
  // Closes the keeper's end; how long the helper took to end.
  milliseconds end() {
    const auto start = std::chrono::steady_clock::now();
    keeper_.reset();
    if (pid_ > 0) {
      int status = -1;
      ::waitpid(pid_, &status, 0);
      EXPECT_EQ(status, 0);
      pid_ = 0;
    }
    return std::chrono::duration_cast<milliseconds>(std::chrono::steady_clock::now() - start);
  }
  void kill() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  int keeper() const { return keeper_.get(); }
  pid_t pid() const { return pid_; }

 private:
  UniqueFd keeper_;
  pid_t pid_ = 0;
};

// A folder of its own for a test's scripts.
class Scripts {
 public:
  Scripts() {
    char name[] = "/tmp/fivefold-process-XXXXXX";
    path_ = ::mkdtemp(name);
    ::chmod(path_.c_str(), 0755);
  }
  ~Scripts() {
    for (const std::string& file : files_) ::unlink(file.c_str());
    ::rmdir(path_.c_str());
  }
  std::string add(const std::string& name, const std::string& text, mode_t mode = 0755) {
    const std::string file = path_ + "/" + name;
    std::ofstream(file) << text;
    ::chmod(file.c_str(), mode);
    files_.push_back(file);
    return file;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  std::vector<std::string> files_;
};

// A loop with a client; run() takes one task through it, once.
class Rig {
 public:
  explicit Rig(std::vector<Identity> identities = {Identity{.program = "test"}}, SpawnerLimits limits = {})
      : helper(std::move(identities), limits), loop(0), client(make_spawner_client(loop, helper.connect())) {}
  void run(net::Task<void> task, milliseconds limit = milliseconds(30000)) {
    net::Timer watchdog(loop.timers(), [](void* self) { static_cast<Rig*>(self)->loop.stop(); }, this);
    watchdog.set(loop.now() + limit);
    bool done = false;
    net::Running running(drive(*this, std::move(task), done));
    if (!done) loop.run();
    EXPECT_TRUE(done) << "the test did not end in time";
  }
  HelperProcess helper;
  net::Loop loop;
  std::unique_ptr<SpawnerClient> client;

 private:
  static net::Task<void> drive(Rig& rig, net::Task<void> task, bool& done) {
    co_await std::move(task);
    done = true;
    rig.loop.stop();
  }
};

inline SpawnPlan shell(const std::string& script) {
  SpawnPlan plan;
  plan.executable = "/bin/sh";
  plan.directory = "/";
  for (const std::string& argument : {std::string("sh"), std::string("-c"), script}) plan.arguments.add(argument);
  plan.environment.add("PATH=/usr/bin:/bin");
  return plan;
}

struct Outcome {
  std::string output;
  std::optional<ExitStatus> status;
  Error error;
};

// Runs to the end: output is what came on standard output.
inline net::Task<Outcome> outcome_of(Rig& rig, SpawnPlan plan) {
  Outcome outcome;
  Ends pipe = make_pipe();
  plan.stdout_fd = pipe.second.get();
  auto started = co_await rig.client->spawn(std::move(plan));
  pipe.second.reset();
  if (!started) {
    outcome.error = started.error();
    co_return outcome;
  }
  outcome.output = read_all(pipe.first.get());
  co_await (*started)->exited().wait();
  outcome.status = (*started)->exit_status();
  co_return outcome;
}

}  // namespace fivefold::process
