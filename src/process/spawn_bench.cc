// What a start costs: a small static program through a client and a helper, beside the bare clone3, exec and wait, and
// posix_spawn. Run it on one core (taskset -c 0): the time per iteration is then the processor time of all processes
// together.
#include <benchmark/benchmark.h>
#include <spawn.h>

#include "process/create_process.h"
#include "process/test_rig.h"

namespace fivefold::process {
namespace {

// FIVEFOLD_BENCH_PROGRAM names what is started; a static hello world compares with the figures in the documentation.
const char* program() {
  const char* const name = std::getenv("FIVEFOLD_BENCH_PROGRAM");
  return name ? name : "/bin/true";
}

double cpu_microseconds(int who) {
  rusage usage{};
  ::getrusage(who, &usage);
  const auto of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

// Processor time from its making to report(), which comes when all children have been waited for.
class Meter {
 public:
  void report(benchmark::State& state, double helper = 0) const {
    const double own = cpu_microseconds(RUSAGE_SELF) - own_;
    const double children = cpu_microseconds(RUSAGE_CHILDREN) - children_;
    const auto count = static_cast<double>(state.iterations());
    state.counters["cpu_us"] = (own + children) / count;
    state.counters["parent_us"] = (own + helper) / count;
  }

 private:
  double own_ = cpu_microseconds(RUSAGE_SELF);
  double children_ = cpu_microseconds(RUSAGE_CHILDREN);
};

double cpu_of_process(pid_t pid) {
  clockid_t clock{};
  timespec time{};
  if (::clock_getcpuclockid(pid, &clock) != 0 || ::clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

SpawnPlan plan_with_usual_environment() {
  SpawnPlan plan;
  plan.executable = program();
  plan.directory = "/tmp";
  plan.arguments.add(plan.executable);
  for (int i = 0; i < 30; ++i)
    plan.environment.add("HTTP_HEADER_" + std::to_string(i), "a value of some thirty characters");
  return plan;
}

net::Task<void> spawn_and_wait(Rig& rig, benchmark::State& state) {
  for (auto _ : state) {
    Ends pipe = make_pipe();
    SpawnPlan plan = plan_with_usual_environment();
    plan.stdout_fd = pipe.second.get();
    auto started = co_await rig.client->spawn(std::move(plan));
    if (!started) {
      state.SkipWithError(started.error().message.c_str());
      co_return;
    }
    pipe.second.reset();
    co_await (*started)->exited().wait();
  }
}
void BM_ThroughTheHelper(benchmark::State& state) {
  const Meter meter;
  double helper = 0;
  {
    Rig rig;
    rig.run(spawn_and_wait(rig, state), milliseconds(600'000));
    helper = cpu_of_process(rig.helper.pid());
  }
  meter.report(state, helper);
}
BENCHMARK(BM_ThroughTheHelper)->UseRealTime();

void BM_BareClone3(benchmark::State& state) {
  const Meter meter;
  ProcessCreator creator;
  sigset_t all, before;
  sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, &before);
  const UniqueFd null(::open("/dev/null", O_RDWR | O_CLOEXEC));
  std::vector<std::string> variables;
  for (int i = 0; i < 30; ++i)
    variables.push_back("HTTP_HEADER_" + std::to_string(i) + "=a value of some thirty characters");
  std::vector<char*> envp;
  for (std::string& each : variables) envp.push_back(each.data());
  envp.push_back(nullptr);
  std::string name = program();
  char* argv[] = {name.data(), nullptr};
  for (auto _ : state) {
    Ends pipe = make_pipe();
    Launch launch;
    launch.executable = program();
    launch.directory = "/tmp";
    launch.argv = argv;
    launch.envp = envp.data();
    launch.streams[0] = launch.streams[2] = null.get();
    launch.streams[1] = pipe.second.get();
    launch.parent = ::getpid();
    UniqueFd pidfd;
    const pid_t pid = creator.create(launch, pidfd);
    pipe.second.reset();
    ::waitpid(pid, nullptr, 0);
  }
  ::sigprocmask(SIG_SETMASK, &before, nullptr);
  meter.report(state);
}
BENCHMARK(BM_BareClone3)->UseRealTime();

void BM_PosixSpawn(benchmark::State& state) {
  const Meter meter;
  std::string name = program();
  char* argv[] = {name.data(), nullptr};
  char* envp[] = {nullptr};
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
  for (auto _ : state) {
    pid_t pid = 0;
    ::posix_spawn(&pid, program(), &actions, nullptr, argv, envp);
    ::waitpid(pid, nullptr, 0);
  }
  ::posix_spawn_file_actions_destroy(&actions);
  meter.report(state);
}
BENCHMARK(BM_PosixSpawn)->UseRealTime();

}  // namespace
}  // namespace fivefold::process
