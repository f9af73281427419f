#include "process/create_process.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "process/test_rig.h"

namespace fivefold::process {
namespace {

// In a process of its own with signals blocked, as create() asks for: starts `executable` and tells what came of it.
std::string start(bool clone3, const char* executable) {
  Ends pipe = make_pipe();
  const pid_t tester = ::fork();
  if (tester == 0) {
    ::signal(SIGUSR2, [](int) {});  // a handler that must not survive
    sigset_t all;
    sigfillset(&all);
    ::sigprocmask(SIG_SETMASK, &all, nullptr);
    ProcessCreator creator;
    if (!clone3) creator.avoid_clone3();
    const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
    char script[] = "exec cat /proc/self/status";
    char name[] = "sh";
    char option[] = "-c";
    char* argv[] = {name, option, script, nullptr};
    char* envp[] = {nullptr};
    Launch launch;
    launch.executable = executable;
    launch.directory = "/";
    launch.argv = argv;
    launch.envp = envp;
    launch.streams[0] = null.get();
    launch.streams[1] = pipe.second.get();
    launch.streams[2] = null.get();
    launch.parent = ::getpid();
    std::string story;
    for (int i = 0; i < 50; ++i) {
      UniqueFd pidfd;
      const pid_t pid = creator.create(launch, pidfd);
      if (pid < 0) {
        story =
            "failed at step " + std::to_string(static_cast<int>(launch.failed_step)) + ": " + errno_text(launch.error);
        continue;
      }
      int status = 0;
      ::waitpid(pid, &status, 0);
      story = "pidfd " + std::to_string(pidfd.get() >= 0) + " status " + std::to_string(status);
    }
    (void)!::write(pipe.second.get(), story.data(), story.size());
    ::_exit(0);
  }
  pipe.second.reset();
  std::string text = read_all(pipe.first.get());
  ::waitpid(tester, nullptr, 0);
  const auto last_line = text.rfind('\n');
  const bool clean = text.find("SigCgt:\t0000000000000000") != std::string::npos;
  return (clean ? "clean, " : "") + text.substr(last_line == std::string::npos ? 0 : last_line + 1);
}

TEST(CreateProcess, ByClone3) {
  EXPECT_EQ(start(true, "/bin/sh"), "clean, pidfd 1 status 0");
  EXPECT_EQ(start(true, "/no/such"), "failed at step 14: No such file or directory");
}

TEST(CreateProcess, ByCloneWhereClone3IsForbidden) {
  EXPECT_EQ(start(false, "/bin/sh"), "clean, pidfd 1 status 0");
  EXPECT_EQ(start(false, "/no/such"), "failed at step 14: No such file or directory");
}

TEST(CreateProcess, LimitsFollowTheIdentity) {
  EXPECT_TRUE(resource_limits({}, false).empty());
  Identity identity{.memory = 1 << 30, .files = 20, .processes = 5};
  const auto alone = resource_limits(identity, false);
  EXPECT_EQ(alone.size(), 3u);
  const auto in_cgroup = resource_limits(identity, true);
  ASSERT_EQ(in_cgroup.size(), 1u);
  EXPECT_EQ(in_cgroup[0].resource, RLIMIT_NOFILE);
  EXPECT_EQ(in_cgroup[0].value.rlim_cur, 20u);
}

}  // namespace
}  // namespace fivefold::process
