#include "process/cgroup_pool.h"

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "process/create_process.h"
#include "process/descendants.h"
#include "process/test_rig.h"

namespace fivefold::process {
namespace {

TEST(CgroupPool, SaysWhatIsMissing) {
  const auto pool = CgroupPool::open({"no such controller"});
  ASSERT_FALSE(pool);
  EXPECT_FALSE(pool.error().message.empty());
}

TEST(CgroupPool, AProcessIsBornInItsFolderAndKilledWithItsDaemons) {
  auto opened = CgroupPool::open({});
  if (!opened) GTEST_SKIP() << "no cgroup here may be written: " << opened.error().message;
  CgroupPool& pool = **opened;
  auto taken = pool.take(0, 0);
  if (!taken) GTEST_SKIP() << taken.error().message;
  std::unique_ptr<CgroupFolder> folder = std::move(*taken);
  EXPECT_TRUE(CgroupPool::is_empty(*folder));

  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  Ends life = make_pipe();
  ProcessCreator creator;
  char name[] = "sh";
  char option[] = "-c";
  char script[] = "setsid sleep 1000 & exit 0";
  char path[] = "PATH=/usr/bin:/bin";
  char* argv[] = {name, option, script, nullptr};
  char* envp[] = {path, nullptr};
  Launch launch;
  launch.executable = "/bin/sh";
  launch.directory = "/";
  launch.argv = argv;
  launch.envp = envp;
  launch.streams[0] = launch.streams[1] = null.get();
  launch.streams[2] = life.second.get();
  launch.parent = ::getpid();
  launch.cgroup = folder->fd.get();
  UniqueFd pidfd;
  sigset_t all, before;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  const pid_t pid = creator.create(launch, pidfd);
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  ASSERT_GT(pid, 0) << errno_text(launch.error);
  life.second.reset();
  ::waitpid(pid, nullptr, 0);
  EXPECT_FALSE(CgroupPool::is_empty(*folder)) << "the daemon lives in it";
  CgroupPool::kill(*folder);
  EXPECT_TRUE(closes_within(life.first.get(), milliseconds(2000)));
  const auto end = std::chrono::steady_clock::now() + milliseconds(2000);
  while (!CgroupPool::is_empty(*folder) && std::chrono::steady_clock::now() < end) ::usleep(1000);
  EXPECT_TRUE(CgroupPool::is_empty(*folder));
  const std::string used = folder->path;
  pool.give_back(std::move(folder));
  auto again = pool.take(0, 0);
  ASSERT_TRUE(again);
  EXPECT_EQ((*again)->path, used);
  pool.give_back(std::move(*again));
  opened->reset();
  EXPECT_NE(::access(used.c_str(), F_OK), 0) << "its folder was left behind";
}

}  // namespace
}  // namespace fivefold::process
