// What a program that is started finds around itself, and what its owner learns: a real helper, real processes.
#include <grp.h>
#include <sys/resource.h>

#include "process/test_rig.h"

namespace fivefold::process {
namespace {

net::Task<void> output_and_status(Rig& rig) {
  Outcome outcome = co_await outcome_of(rig, shell("echo hello; exit 3"));
  EXPECT_EQ(outcome.output, "hello\n");
  EXPECT_EQ(outcome.status->code, 3);
  EXPECT_FALSE(outcome.status->signal);
  EXPECT_GT(outcome.status->peak_memory, 100'000u);
  Outcome killed = co_await outcome_of(rig, shell("kill -SEGV $$"));
  EXPECT_EQ(killed.status->signal, SIGSEGV);
  EXPECT_FALSE(killed.status->code);
}
TEST(Spawner, ReportsOutputAndExitStatus) {
  Rig rig;
  rig.run(output_and_status(rig));
}

net::Task<void> standard_streams(Rig& rig) {
  Ends in = make_pipe();
  Ends error = make_pipe();
  EXPECT_EQ(::write(in.second.get(), "question", 8), 8);
  in.second.reset();
  SpawnPlan plan = shell("cat; echo trouble >&2");
  plan.stdin_fd = in.first.get();
  plan.stderr_fd = error.second.get();
  Outcome outcome = co_await outcome_of(rig, std::move(plan));
  error.second.reset();
  EXPECT_EQ(outcome.output, "question");
  EXPECT_EQ(read_all(error.first.get()), "trouble\n");
  Outcome closed = co_await outcome_of(rig, shell("cat; readlink /proc/self/fd/0 /proc/self/fd/2"));
  EXPECT_EQ(closed.output, "/dev/null\n/dev/null\n");
}
TEST(Spawner, ConnectsStandardStreamsAndNullForTheRest) {
  Rig rig;
  rig.run(standard_streams(rig));
}

net::Task<void> exact_surroundings(Rig& rig) {
  SpawnPlan plan;
  plan.executable = "/usr/bin/env";
  plan.directory = "/usr/share";
  plan.arguments.add("name of its own");
  plan.environment.add("ONE", "1");
  plan.environment.add("EMPTY", "");
  plan.environment.add("LINES", "a\nb=\xff");
  Outcome environment = co_await outcome_of(rig, std::move(plan));
  EXPECT_EQ(environment.output, "ONE=1\nEMPTY=\nLINES=a\nb=\xff\n");
  SpawnPlan arguments = shell("pwd; umask; printf '[%s]' \"$0\" \"$@\"");
  arguments.directory = "/usr/share";
  for (const char* each : {"zero", "", "a b", "--"}) arguments.arguments.add(each);
  Outcome outcome = co_await outcome_of(rig, std::move(arguments));
  EXPECT_EQ(outcome.output, "/usr/share\n0022\n[zero][][a b][--]");
}
TEST(Spawner, GivesExactlyThePlannedArgumentsEnvironmentAndFolder) {
  Rig rig;
  rig.run(exact_surroundings(rig));
}

net::Task<void> clean_process(Rig& rig) {
  // Some others run meanwhile, so that the helper holds descriptors that could leak.
  Ends keep = make_pipe();
  SpawnPlan plan = shell("cat");
  plan.stdin_fd = keep.first.get();
  auto other = co_await rig.client->spawn(std::move(plan));
  EXPECT_TRUE(other);
  SpawnPlan list;
  list.executable = "/bin/ls";
  list.directory = "/";
  list.arguments.add("ls");
  list.arguments.add("/proc/self/fd");
  Outcome descriptors = co_await outcome_of(rig, std::move(list));
  EXPECT_EQ(descriptors.output, "0\n1\n2\n3\n") << "3 is the folder that ls reads";
  Outcome signals =
      co_await outcome_of(rig, shell("exec sed -En '/^(SigBlk|SigIgn|SigCgt|NoNewPrivs)/p' /proc/self/status"));
  EXPECT_EQ(signals.output,
            "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\nSigCgt:\t0000000000000000\nNoNewPrivs:\t0\n");
  Outcome session = co_await outcome_of(rig, shell("exec cut -d' ' -f1,5,6,7 /proc/self/stat"));
  std::istringstream words(session.output);
  std::string pid, group, session_id, terminal;
  words >> pid >> group >> session_id >> terminal;
  EXPECT_EQ(group, pid);
  EXPECT_EQ(session_id, pid);
  EXPECT_EQ(terminal, "0");
}
TEST(Spawner, LeaksNoDescriptorSignalMaskOrDispositionAndMakesASession) {
  ::signal(SIGPIPE, SIG_IGN);  // as the server does: a program must not inherit it
  ::signal(SIGHUP, SIG_IGN);
  Rig rig;
  rig.run(clean_process(rig));
  ::signal(SIGPIPE, SIG_DFL);
  ::signal(SIGHUP, SIG_DFL);
}

net::Task<void> as_user(Rig& rig) {
  Outcome outcome = co_await outcome_of(rig, shell("exec grep -E '^(Uid|Gid|Groups|CapEff)' /proc/self/status"));
  EXPECT_EQ(outcome.output,
            "Uid:\t65534\t65534\t65534\t65534\nGid:\t65533\t65533\t65533\t65533\nGroups:\t65533 "
            "\nCapEff:\t0000000000000000\n");
}
TEST(Spawner, ChangesUserAndDropsEveryGroup) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  Rig rig({Identity{.program = "test", .switch_user = true, .uid = 65534, .gid = 65533}});
  rig.run(as_user(rig));
}

net::Task<void> refused_user(Rig& rig) {
  Outcome outcome = co_await outcome_of(rig, shell("id -u"));
  EXPECT_FALSE(outcome.status) << "it ran as the wrong user: " << outcome.output;
  EXPECT_EQ(outcome.error.code, Code::program_failed);
  EXPECT_NE(outcome.error.message.find("changing the user failed"), std::string::npos) << outcome.error.message;
}
TEST(Spawner, DoesNotRunAtAllWhenTheUserCannotBeChanged) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  // No process may have this user id, and to the kernel it means "leave it as it is".
  Rig rig({Identity{.program = "test", .switch_user = true, .uid = static_cast<uid_t>(-1), .gid = 65533}});
  rig.run(refused_user(rig));
}

net::Task<void> limited(Rig& rig) {
  Outcome outcome = co_await outcome_of(
      rig, shell("grep -E '^Max (cpu time|open files|file size|core file size)' /proc/self/limits | tr -s ' '"));
  EXPECT_EQ(outcome.output,
            "Max cpu time 7 7 seconds \n"
            "Max file size 65536 65536 bytes \n"
            "Max core file size 4096 4096 bytes \n"
            "Max open files 50 50 files \n");
  // Be it by the kernel's limit on data or by a cgroup.
  SpawnPlan large = shell("head -c 400000000 /dev/zero | tail -c 399999999 | wc -c");
  Outcome memory = co_await outcome_of(rig, std::move(large));
  EXPECT_NE(memory.output, "399999999\n");
}
TEST(Spawner, SetsLimits) {
  Rig rig({Identity{
      .program = "test", .memory = 256 << 20, .cpu_seconds = 7, .files = 50, .file_size = 65536, .core = 4096}});
  rig.run(limited(rig));
}

net::Task<void> unlimited(Rig& rig) {
  Outcome outcome = co_await outcome_of(rig, shell("ulimit -n; ulimit -Hn"));
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  EXPECT_EQ(outcome.output, std::to_string(files.rlim_cur) + "\n" + std::to_string(files.rlim_max) + "\n");
}
TEST(Spawner, LeavesLimitsAloneByDefault) {
  Rig rig;
  rig.run(unlimited(rig));
}

net::Task<void> extra_descriptors(Rig& rig) {
  SpawnPlan plan = shell("cat <&3; cat /proc/self/fd/10; readlink /proc/self/fd/5; exec ls /proc/self/fd");
  std::vector<UniqueFd> held;
  for (std::size_t i = 0; i < SpawnPlan::kMostExtra; ++i) {
    Ends pipe = make_pipe();
    const std::string text = "descriptor " + std::to_string(i) + "\n";
    EXPECT_EQ(::write(pipe.second.get(), text.data(), text.size()), static_cast<ssize_t>(text.size()));
    plan.extra_fds.push_back(pipe.first.get());
    held.push_back(std::move(pipe.first));
  }
  held[2].reset(::open("/dev/zero", O_RDONLY | O_CLOEXEC));
  plan.extra_fds[2] = held[2].get();
  Outcome outcome = co_await outcome_of(rig, std::move(plan));
  EXPECT_EQ(outcome.output, "descriptor 0\ndescriptor 7\n/dev/zero\n0\n1\n10\n11\n2\n3\n4\n5\n6\n7\n8\n9\n")
      << "11 is the folder that ls reads";
  Outcome next = co_await outcome_of(rig, shell("exec ls /proc/self/fd"));
  EXPECT_EQ(next.output, "0\n1\n2\n3\n");
  SpawnPlan too_many = shell("echo no");
  too_many.extra_fds.assign(SpawnPlan::kMostExtra + 1, held[2].get());
  Outcome refused = co_await outcome_of(rig, std::move(too_many));
  EXPECT_EQ(refused.error.code, Code::internal);
}
TEST(Spawner, PassesExtraDescriptorsInTheirOrderFromThreeOn) {
  Rig rig;
  rig.run(extra_descriptors(rig));
}

net::Task<void> listen_pid(Rig& rig) {
  SpawnPlan plan = shell("[ \"$LISTEN_PID\" = $$ ] && echo right; env | grep -c ^LISTEN; echo \"$LISTEN_FDS $X\"");
  plan.listen_pid = true;
  plan.environment.add("LISTEN_FDS", "1");
  plan.environment.add("LISTEN_PID", "1");
  plan.environment.add("X", "last");
  Outcome outcome = co_await outcome_of(rig, std::move(plan));
  EXPECT_EQ(outcome.output, "right\n2\n1 last\n");
  Outcome without = co_await outcome_of(rig, shell("echo \"[$LISTEN_PID]\""));
  EXPECT_EQ(without.output, "[]\n");
}
TEST(Spawner, TellsAProcessItsOwnPidForSocketActivation) {
  Rig rig;
  rig.run(listen_pid(rig));
}

net::Task<void> with_umask(Rig& rig) {
  SpawnPlan plan = shell("umask");
  plan.umask = 0007;
  Outcome outcome = co_await outcome_of(rig, std::move(plan));
  EXPECT_EQ(outcome.output, "0007\n");
  Outcome usual = co_await outcome_of(rig, shell("umask"));
  EXPECT_EQ(usual.output, "0022\n");
  SpawnPlan wrong = shell("umask");
  wrong.umask = 01000;
  Outcome refused = co_await outcome_of(rig, std::move(wrong));
  EXPECT_EQ(refused.error.code, Code::internal);
}
TEST(Spawner, SetsTheUmask) {
  Rig rig;
  rig.run(with_umask(rig));
}

net::Task<void> many_programs(Rig& rig) {
  for (const std::uint32_t program : {0u, 4'999u, 9'999u}) {
    SpawnPlan plan = shell("ulimit -n");
    plan.program = program;
    Outcome outcome = co_await outcome_of(rig, std::move(plan));
    EXPECT_EQ(outcome.output, std::to_string(20 + program % 100) + "\n") << outcome.error.message;
  }
  SpawnPlan unknown = shell("ulimit -n");
  unknown.program = 10'000;
  Outcome refused = co_await outcome_of(rig, std::move(unknown));
  EXPECT_FALSE(refused.status);
  // A later, smaller table takes its place.
  const std::vector<Identity> one{{.program = "one", .files = 33}};
  EXPECT_TRUE(send_identities(rig.helper.keeper(), one));
  UniqueFd socket = rig.helper.connect();
  rig.client->reconnect(std::move(socket));
  Outcome smaller = co_await outcome_of(rig, shell("ulimit -n"));
  EXPECT_EQ(smaller.output, "33\n");
}
TEST(Spawner, KnowsTenThousandPrograms) {
  std::vector<Identity> identities;
  for (std::uint64_t i = 0; i < 10'000; ++i)
    identities.push_back(
        {.program = "program with a name of some length, number " + std::to_string(i), .files = 20 + i % 100});
  Rig rig(std::move(identities));
  rig.run(many_programs(rig));
}

struct Fault {
  SpawnPlan plan;
  std::string words;
};

net::Task<void> failures_in_words(Rig& rig, std::vector<Fault> faults) {
  for (Fault& fault : faults) {
    const std::string path = fault.plan.executable;
    Outcome outcome = co_await outcome_of(rig, std::move(fault.plan));
    EXPECT_FALSE(outcome.status) << path;
    EXPECT_EQ(outcome.error.code, Code::program_failed) << path;
    EXPECT_NE(outcome.error.message.find(fault.words), std::string::npos)
        << outcome.error.message << "\nlacks: " << fault.words;
  }
  Outcome good = co_await outcome_of(rig, shell("echo still here"));
  EXPECT_EQ(good.output, "still here\n");
}
TEST(Spawner, SaysWhyAProgramCouldNotBeExecuted) {
  Rig rig;
  Scripts scripts;
  const auto plan = [](const std::string& file, const std::string& folder = "/") {
    SpawnPlan made;
    made.executable = file;
    made.directory = folder;
    made.arguments.add(file);
    return made;
  };
  SpawnPlan nul = plan("/bin/true");
  nul.environment.add(std::string_view("A=b\0c", 5));
  SpawnPlan unknown_program = plan("/bin/true");
  unknown_program.program = 7;
  SpawnPlan enormous = plan("/bin/true");
  enormous.environment.add("A", std::string(3'000'000, 'x'));
  std::vector<Fault> faults;
  faults.push_back({plan(scripts.path() + "/missing"), "/missing: there is no such file"});
  faults.push_back({plan(scripts.add("plain", "#!/bin/sh\n", 0644)),
                    "/plain: it is not executable (Permission denied); run chmod +x on it"});
  faults.push_back({plan(scripts.path()), "it is a folder"});
  faults.push_back(
      {plan(scripts.add("perl", "#!/opt/no/perl -w\n")), "names the interpreter /opt/no/perl, which does not exist"});
  faults.push_back({plan(scripts.add("dos", "#!/bin/sh\r\necho\r\n")), "the line ends in a carriage return"});
  faults.push_back(
      {plan(scripts.add("bare", "echo no first line\n")), "a script needs a first line such as #!/bin/sh"});
  faults.push_back({plan(scripts.add("empty", "")), "the file is empty"});
  faults.push_back({plan("/bin/true", "/no/such/folder"), "in the folder /no/such/folder: No such file or directory"});
  faults.push_back({plan("relative/path"), "it is not an absolute path"});
  faults.push_back({std::move(nul), "holds a NUL character"});
  faults.push_back({std::move(unknown_program), "does not know program number 7"});
  faults.push_back({std::move(enormous), "its arguments and environment are too large"});
  rig.run(failures_in_words(rig, std::move(faults)));
}

net::Task<void> huge_environment(Rig& rig) {
  SpawnPlan plan = shell("printf %s \"$V0$V9$V19\" | wc -c");
  for (int i = 0; i < 20; ++i)
    plan.environment.add("V" + std::to_string(i), std::string(60'000, static_cast<char>('a' + i)));
  Outcome outcome = co_await outcome_of(rig, std::move(plan));
  // printf is built in, so nothing but sh itself has to take the 1.2 MB; wc gets them too.
  EXPECT_EQ(outcome.output, "180000\n");
  Outcome next = co_await outcome_of(rig, shell("echo \"[$V0]\""));
  EXPECT_EQ(next.output, "[]\n");
}
TEST(Spawner, PassesAnEnvironmentOfMoreThanAMegabyte) {
  Rig rig;
  rig.run(huge_environment(rig));
}

net::Task<void> one_of_many(Rig& rig, int number, int& good) {
  Outcome outcome = co_await outcome_of(rig, shell("echo " + std::to_string(number)));
  if (outcome.output == std::to_string(number) + "\n" && outcome.status && outcome.status->success()) ++good;
}
net::Task<void> many(Rig& rig, int& good) {
  net::TaskGroup group;
  net::Event all(rig.loop);
  for (int i = 0; i < 200; ++i) group.start(one_of_many(rig, i, good));
  group.on_empty([&all] { all.set(); });
  if (group.size() == 0) all.set();
  co_await all.wait();
}
TEST(Spawner, StartsTwoHundredAtOnce) {
  Rig rig;
  int good = 0;
  rig.run(many(rig, good));
  EXPECT_EQ(good, 200);
}

net::Task<void> many_at_the_same_time(Rig& rig) {
  Ends hold = make_pipe();
  std::vector<std::unique_ptr<Child>> children;
  for (int i = 0; i < 150; ++i) {
    SpawnPlan plan = shell("read line");
    plan.stdin_fd = hold.first.get();
    plan.environment.add("PADDING", std::string(50'000, 'x'));
    auto started = co_await rig.client->spawn(std::move(plan));
    EXPECT_TRUE(started) << started.error().message;
    if (started) children.push_back(std::move(*started));
  }
  hold.second.reset();
  for (auto& child : children) {
    co_await child->exited().wait();
    EXPECT_EQ(child->exit_status()->code, 1);
  }
}
TEST(Spawner, HoldsManyRunningProcessesAndTellsOfEachEnd) {
  Rig rig;
  rig.run(many_at_the_same_time(rig));
}

net::Task<void> out_of_descriptors(Rig& rig) {
  Outcome before = co_await outcome_of(rig, shell("echo yes"));
  EXPECT_EQ(before.output, "yes\n");
  rlimit normal{};
  EXPECT_EQ(::prlimit(rig.helper.pid(), RLIMIT_NOFILE, nullptr, &normal), 0);
  // From what it needs anyway upwards: descriptors run out at each step of a start in turn.
  int refused_starts = 0;
  for (rlim_t count = 4; count < 12; ++count) {
    const rlimit few{count, normal.rlim_max};
    EXPECT_EQ(::prlimit(rig.helper.pid(), RLIMIT_NOFILE, &few, nullptr), 0);
    Outcome refused = co_await outcome_of(rig, shell("echo no"));
    if (refused.output == "no\n") continue;
    ++refused_starts;
    // An interpreter that cannot open what it needs itself ends with a status; everything before that is our refusal.
    if (refused.status) continue;
    EXPECT_EQ(refused.error.code, Code::program_unavailable) << refused.error.message;
    EXPECT_EQ(refused.error.detail, "1");
  }
  EXPECT_GE(refused_starts, 2);
  EXPECT_EQ(::prlimit(rig.helper.pid(), RLIMIT_NOFILE, &normal, nullptr), 0);
  Outcome good = co_await outcome_of(rig, shell("echo yes"));
  EXPECT_EQ(good.output, "yes\n");
}
TEST(Spawner, SurvivesRunningOutOfDescriptors) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  Rig rig;
  rig.run(out_of_descriptors(rig));
}

net::Task<void> out_of_processes(Rig& rig) {
  Outcome outcome = co_await outcome_of(rig, shell("echo no"));
  EXPECT_EQ(outcome.error.code, Code::program_unavailable) << outcome.output << outcome.error.message;
  EXPECT_NE(outcome.error.message.find("too many processes"), std::string::npos) << outcome.error.message;
}
TEST(Spawner, SaysSoWhenTheUserHasTooManyProcesses) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  // A user of this test's own, with two processes already.
  const uid_t user = 61234;
  Ends ready = make_pipe();
  const pid_t other = ::fork();
  if (other == 0) {
    if (::setsid() < 0 || ::setresuid(user, user, user) != 0 || ::fork() < 0) ::_exit(1);
    ready.second.reset();
    ::pause();
    ::_exit(0);
  }
  ready.second.reset();
  read_all(ready.first.get());
  {
    Rig rig({Identity{.program = "test", .switch_user = true, .uid = user, .gid = user, .processes = 1}});
    rig.run(out_of_processes(rig));
  }
  ::kill(-other, SIGKILL);
  ::waitpid(other, nullptr, 0);
}

}  // namespace
}  // namespace fivefold::process
