// Kept processes: they outlive the client that started them, and the next one adopts them.
#include <fstream>
#include <vector>

#include "net/channel.h"
#include "process/spawn_protocol.h"
#include "process/test_rig.h"

namespace fivefold::process {
namespace {

// What a client adopts, in the order in which it comes.
struct Adoptions {
  explicit Adoptions(net::Loop& loop) : came(loop) {}
  Spawner::Adopted taker() {
    return [this](KeptProcess process) {
      all.push_back(std::move(process));
      if (all.size() >= wanted) came.set();
    };
  }
  std::vector<KeptProcess> all;
  std::size_t wanted = 1;
  net::Event came;
};

std::unique_ptr<SpawnerClient> another_client(Rig& rig) { return make_spawner_client(rig.loop, rig.helper.connect()); }

// A kept shell; `life` is written to by nobody and closes when it and all that it started are gone.
struct KeptShell {
  std::unique_ptr<Child> child;
  pid_t pid = 0;
  UniqueFd life;
};
net::Task<KeptShell> kept_shell(SpawnerClient& client, std::string script, std::string text) {
  Ends life = make_pipe();
  SpawnPlan plan = shell(script);
  plan.stderr_fd = life.second.get();
  plan.keep = std::move(text);
  auto started = co_await client.spawn(std::move(plan));
  KeptShell result;
  EXPECT_TRUE(started) << started.error().message;
  if (!started) co_return result;
  result.child = std::move(*started);
  result.pid = result.child->pid();
  result.life = std::move(life.first);
  co_return result;
}

bool is_alive(const KeptShell& shell) { return !closes_within(shell.life.get(), milliseconds(20)); }

// Until it has ended, though nobody has waited for it yet.
bool becomes_zombie(pid_t pid) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (std::chrono::steady_clock::now() < end) {
    std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
    std::string line;
    std::getline(file, line);
    if (const auto at = line.rfind(')'); at != std::string::npos && line.substr(at, 3) == ") Z") return true;
    ::usleep(1000);
  }
  return false;
}

net::Task<void> survives(Rig& rig) {
  auto first = another_client(rig);
  Ends out = make_pipe();
  Ends in = make_pipe();
  SpawnPlan plan = shell("echo up; read line; echo \"got $line\"; exit 7");
  plan.stdin_fd = in.first.get();
  plan.stdout_fd = out.second.get();
  plan.keep = std::string("instance\0seven", 14);
  plan.kept_fds = {out.first.get(), in.second.get()};
  const auto before = rig.loop.now();
  auto started = co_await first->spawn(std::move(plan));
  EXPECT_TRUE(started);
  const pid_t pid = (*started)->pid();
  out = {};
  in = {};
  first.reset();
  Adoptions adoptions(rig.loop);
  rig.client->adopt(adoptions.taker());
  co_await adoptions.came.wait();
  KeptProcess& process = adoptions.all.at(0);
  EXPECT_EQ(process.keep, std::string("instance\0seven", 14));
  EXPECT_EQ(process.child->pid(), pid);
  EXPECT_FALSE(process.child->exit_status());
  EXPECT_GE(process.age, milliseconds(0));
  EXPECT_LE(process.age, rig.loop.now() - before + milliseconds(1));
  EXPECT_EQ(process.fds.size(), 2u);
  EXPECT_EQ(::write(process.fds[1].get(), "it\n", 3), 3);
  EXPECT_EQ(read_all(process.fds[0].get()), "up\ngot it\n");
  co_await process.child->exited().wait();
  EXPECT_EQ(process.child->exit_status()->code, 7);
  EXPECT_GT(process.child->exit_status()->peak_memory, 0u);
}
TEST(SpawnerKept, AProcessOutlivesItsClientAndIsAdoptedWithItsDescriptorsAndText) {
  Rig rig;
  rig.run(survives(rig));
}

net::Task<void> age_survives(Rig& rig) {
  auto first = another_client(rig);
  KeptShell shell = co_await kept_shell(*first, "exec sleep 1000", "k");
  co_await net::sleep_until(rig.loop, rig.loop.now() + milliseconds(60));
  first.reset();
  auto second = another_client(rig);
  Adoptions once(rig.loop), twice(rig.loop);
  second->adopt(once.taker());
  co_await once.came.wait();
  EXPECT_GE(once.all.at(0).age, milliseconds(60));
  second.reset();
  co_await net::sleep_until(rig.loop, rig.loop.now() + milliseconds(30));
  rig.client->adopt(twice.taker());
  co_await twice.came.wait();
  EXPECT_GE(twice.all.at(0).age, milliseconds(90));
  EXPECT_TRUE(is_alive(shell));
}
TEST(SpawnerKept, ItsAgeCountsFromItsStartThroughEveryAdoption) {
  Rig rig;
  rig.run(age_survives(rig));
}

net::Task<void> exited_meanwhile(Rig& rig) {
  auto first = another_client(rig);
  KeptShell unowned = co_await kept_shell(*first, "exec sleep 1000", "unowned");
  KeptShell told = co_await kept_shell(*first, "exit 3", "told");
  // The first client knew of this one's end, but the next one has to know too.
  co_await told.child->exited().wait();
  first.reset();
  ::kill(unowned.pid, SIGTERM);
  EXPECT_TRUE(becomes_zombie(unowned.pid));
  Adoptions adoptions(rig.loop);
  adoptions.wanted = 2;
  rig.client->adopt(adoptions.taker());
  co_await adoptions.came.wait();
  for (KeptProcess& process : adoptions.all) {
    co_await process.child->exited().wait();
    if (process.keep == "told")
      EXPECT_EQ(process.child->exit_status()->code, 3);
    else
      EXPECT_EQ(process.child->exit_status()->signal, SIGTERM);
  }
}
TEST(SpawnerKept, AnEndThatNobodySawIsToldToTheAdopter) {
  Rig rig;
  rig.run(exited_meanwhile(rig));
}

net::Task<void> nobody_adopts(Rig& rig) {
  auto first = another_client(rig);
  KeptShell polite = co_await kept_shell(*first, "sleep 1000 & sleep 1000", "polite");
  KeptShell stubborn = co_await kept_shell(*first, "trap '' TERM; while :; do sleep 1000; done", "stubborn");
  const auto start = rig.loop.now();
  first.reset();
  EXPECT_TRUE(closes_within(polite.life.get(), milliseconds(10'000)));
  EXPECT_GE(rig.loop.now() - start, milliseconds(200));
  EXPECT_TRUE(closes_within(stubborn.life.get(), milliseconds(10'000)));
  EXPECT_GE(rig.loop.now() - start, milliseconds(400));
  // They are gone for good.
  Adoptions adoptions(rig.loop);
  rig.client->adopt(adoptions.taker());
  Outcome outcome = co_await outcome_of(rig, shell("echo yes"));
  EXPECT_EQ(outcome.output, "yes\n");
  EXPECT_TRUE(adoptions.all.empty());
}
TEST(SpawnerKept, WhatNobodyAdoptsIsEndedAfterTheLimit) {
  Rig rig({Identity{.program = "test"}}, {.unowned = milliseconds(200), .unowned_grace = milliseconds(200)});
  rig.run(nobody_adopts(rig));
}

net::Task<void> adopted_in_time(Rig& rig) {
  auto first = another_client(rig);
  KeptShell shell = co_await kept_shell(*first, "exec sleep 1000", "k");
  first.reset();
  Adoptions adoptions(rig.loop);
  rig.client->adopt(adoptions.taker());
  co_await adoptions.came.wait();
  co_await net::sleep_until(rig.loop, rig.loop.now() + milliseconds(400));
  EXPECT_TRUE(is_alive(shell));
  adoptions.all.clear();
  EXPECT_TRUE(closes_within(shell.life.get(), milliseconds(5000))) << "letting go of an adopted process ends it";
}
TEST(SpawnerKept, TheLimitDoesNotCountOnceItIsAdopted) {
  Rig rig({Identity{.program = "test"}}, {.unowned = milliseconds(200)});
  rig.run(adopted_in_time(rig));
}

net::Task<void> disowned(Rig& rig) {
  auto old = another_client(rig);
  Adoptions of_old(rig.loop), of_new(rig.loop);
  old->adopt(of_old.taker());
  KeptShell shell = co_await kept_shell(*old, "exec sleep 1000", "k");
  // Nobody else is there yet: it does not come back to the one that has just let it go.
  old->disown(std::move(shell.child));
  EXPECT_TRUE(is_alive(shell));
  rig.client->adopt(of_new.taker());
  co_await of_new.came.wait();
  EXPECT_EQ(of_new.all.at(0).child->pid(), shell.pid);
  EXPECT_TRUE(of_old.all.empty());
  // And at once when there is another.
  KeptShell second = co_await kept_shell(*old, "exit 4", "second");
  co_await second.child->exited().wait();
  of_new.came.reset();
  old->disown(std::move(second.child));
  co_await of_new.came.wait();
  EXPECT_EQ(of_new.all.at(1).keep, "second");
  EXPECT_EQ(of_new.all.at(1).child->exit_status()->code, 4);
  // Back again: an adopted process can be disowned, and who asks anew is the latest.
  rig.client->disown(std::move(of_new.all.at(0).child));
  old->adopt(of_old.taker());
  co_await of_old.came.wait();
  EXPECT_EQ(of_old.all.at(0).child->pid(), shell.pid);
  of_old.all.at(0).child->set_grace(milliseconds(5000));
  of_old.all.at(0).child->signal(SIGINT);
  co_await of_old.all.at(0).child->exited().wait();
  EXPECT_EQ(of_old.all.at(0).child->exit_status()->signal, SIGINT);
}
TEST(SpawnerKept, ADisownedProcessGoesToTheLatestAdopter) {
  Rig rig;
  rig.run(disowned(rig));
}

net::Task<void> asks_again(Rig& rig) {
  Adoptions first(rig.loop), second(rig.loop);
  rig.client->adopt(first.taker());
  KeptShell shell = co_await kept_shell(*rig.client, "exec sleep 1000", "k");
  rig.client->disown(std::move(shell.child));
  rig.client->adopt(second.taker());
  co_await second.came.wait();
  EXPECT_TRUE(first.all.empty());
  EXPECT_EQ(second.all.at(0).child->pid(), shell.pid);
}
TEST(SpawnerKept, WhoAsksAnewGetsBackWhatItDisowned) {
  Rig rig;
  rig.run(asks_again(rig));
}

net::Task<void> not_kept(Rig& rig) {
  Adoptions adoptions(rig.loop);
  rig.client->adopt(adoptions.taker());
  auto other = another_client(rig);
  KeptShell shell = co_await kept_shell(*other, "exec sleep 1000", "");
  other->disown(std::move(shell.child));
  EXPECT_TRUE(closes_within(shell.life.get(), milliseconds(5000)));
  EXPECT_TRUE(adoptions.all.empty());
}
TEST(SpawnerKept, DisowningAProcessThatIsNotKeptEndsIt) {
  Rig rig;
  rig.run(not_kept(rig));
}

net::Task<void> two_helpers(Rig& rig) {
  HelperProcess other;
  auto here = another_client(rig);
  auto there = make_spawner_client(rig.loop, other.connect());
  KeptShell one = co_await kept_shell(*here, "exec sleep 1000", "here");
  KeptShell two = co_await kept_shell(*there, "exec sleep 1000", "there");
  here.reset();
  there.reset();
  Adoptions from_here(rig.loop), from_there(rig.loop);
  rig.client->adopt(from_here.taker());
  auto next = make_spawner_client(rig.loop, other.connect());
  next->adopt(from_there.taker());
  co_await from_here.came.wait();
  co_await from_there.came.wait();
  EXPECT_EQ(from_here.all.size(), 1u);
  EXPECT_EQ(from_here.all.at(0).keep, "here");
  EXPECT_EQ(from_there.all.size(), 1u);
  EXPECT_EQ(from_there.all.at(0).keep, "there");
}
TEST(SpawnerKept, EachHelperHandsOnItsOwn) {
  Rig rig;
  rig.run(two_helpers(rig));
}

net::Task<void> helper_replaced(Rig& rig) {
  Adoptions adoptions(rig.loop);
  rig.client->adopt(adoptions.taker());
  KeptShell lost = co_await kept_shell(*rig.client, "exec sleep 1000", "lost");
  rig.helper.kill();
  co_await lost.child->exited().wait();
  EXPECT_EQ(lost.child->exit_status()->signal, SIGKILL);
  EXPECT_TRUE(closes_within(lost.life.get(), milliseconds(2000)));
  HelperProcess second;
  auto other = make_spawner_client(rig.loop, second.connect());
  KeptShell found = co_await kept_shell(*other, "exec sleep 1000", "found");
  other.reset();
  rig.client->reconnect(second.connect());
  co_await adoptions.came.wait();
  EXPECT_EQ(adoptions.all.at(0).keep, "found");
  adoptions.all.clear();
  rig.client.reset();
}
TEST(SpawnerKept, ANewHelperIsAskedAgain) {
  Rig rig;
  rig.run(helper_replaced(rig));
}

net::Task<void> keeper_goes(Rig& rig) {
  auto first = another_client(rig);
  KeptShell unowned = co_await kept_shell(*first, "exec sleep 1000", "unowned");
  first.reset();
  KeptShell owned = co_await kept_shell(*rig.client, "exec sleep 1000", "owned");
  EXPECT_TRUE(is_alive(unowned));
  EXPECT_LT(rig.helper.end(), milliseconds(1500));
  EXPECT_TRUE(closes_within(unowned.life.get(), milliseconds(100)));
  EXPECT_TRUE(closes_within(owned.life.get(), milliseconds(100)));
}
TEST(SpawnerKept, NothingKeptOutlivesTheKeeper) {
  Rig rig;
  rig.run(keeper_goes(rig));
}

net::Task<void> bounded(Rig& rig) {
  auto first = another_client(rig);
  KeptShell one = co_await kept_shell(*first, "exec sleep 1000", "one");
  first.reset();
  KeptShell two = co_await kept_shell(*rig.client, "exec sleep 1000", "two");
  SpawnPlan plan = shell("exec sleep 1000");
  plan.keep = "three";
  auto refused = co_await rig.client->spawn(std::move(plan));
  EXPECT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::program_unavailable);
  EXPECT_NE(refused.error().message.find("keeps as many"), std::string::npos) << refused.error().message;
  Outcome usual = co_await outcome_of(rig, shell("echo yes"));
  EXPECT_EQ(usual.output, "yes\n");
  two.child.reset();
  KeptShell again = co_await kept_shell(*rig.client, "exec sleep 1000", "again");
  EXPECT_TRUE(again.child);
}
TEST(SpawnerKept, TheirNumberIsBounded) {
  Rig rig({Identity{.program = "test"}}, {.kept = 2});
  rig.run(bounded(rig));
}

constexpr std::size_t kMany = 120;
net::Task<void> adopter_does_not_read(Rig& rig) {
  auto first = another_client(rig);
  const UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (std::size_t i = 0; i < kMany; ++i) {
    SpawnPlan plan = shell("exec sleep 1000");
    plan.keep = std::string(SpawnPlan::kMostKeep - 3, 'k') + std::to_string(100 + i);
    plan.kept_fds.assign(SpawnPlan::kMostKept, null.get());
    auto started = co_await first->spawn(std::move(plan));
    EXPECT_TRUE(started);
    if (started) first->disown(std::move(*started));
  }
  UniqueFd lazy = rig.helper.connect();
  EXPECT_TRUE(net::send_message(lazy.get(), bytes_of(AdoptMessage{})));
  const auto first_one = net::receive_message(lazy.get());
  EXPECT_TRUE(first_one && kind_of(first_one->bytes) == MessageKind::adopted);
  first.reset();
  // Others are served meanwhile, and cannot reach what is not theirs.
  SignalMessage signal;
  signal.number = SIGKILL;
  signal.id = kFirstAdoptedId;
  UniqueFd enemy = rig.helper.connect();
  EXPECT_TRUE(net::send_message(enemy.get(), bytes_of(signal)));
  Outcome usual = co_await outcome_of(rig, shell("echo yes"));
  EXPECT_EQ(usual.output, "yes\n");
  // When it goes, all of them come to the next one, each once and in one piece.
  lazy.reset();
  Adoptions adoptions(rig.loop);
  adoptions.wanted = kMany;
  rig.client->adopt(adoptions.taker());
  co_await adoptions.came.wait();
  std::vector<std::string> names;
  for (const KeptProcess& process : adoptions.all) {
    EXPECT_EQ(process.keep.size(), SpawnPlan::kMostKeep);
    EXPECT_EQ(process.fds.size(), SpawnPlan::kMostKept);
    EXPECT_FALSE(process.child->exit_status());
    names.push_back(process.keep.substr(SpawnPlan::kMostKeep - 3));
  }
  std::sort(names.begin(), names.end());
  for (std::size_t i = 0; i < kMany; ++i) EXPECT_EQ(names.at(i), std::to_string(100 + i));
}
TEST(SpawnerKept, AnAdopterThatDoesNotReadKeepsNobodyWaiting) {
  Rig rig;
  rig.run(adopter_does_not_read(rig));
}

net::Task<void> cut_off(Rig& rig) {
  UniqueFd broken = rig.helper.connect();
  SpawnHeader header;
  header.id = 5;
  header.executable_size = 11;
  header.directory_size = 2;
  header.arguments_size = 11;
  header.arguments_count = 2;
  header.keep_size = 4;
  const std::string body(
      "/bin/sleep\0/\0sleep\0"
      "1000\0text",
      28);
  EXPECT_TRUE(net::send_message(broken.get(), std::string(bytes_of(header)) + body));
  const auto started = net::receive_message(broken.get());
  EXPECT_TRUE(started && kind_of(started->bytes) == MessageKind::started);
  EXPECT_TRUE(net::send_message(broken.get(), "nonsense"));
  EXPECT_FALSE(net::receive_message(broken.get()));
  Adoptions adoptions(rig.loop);
  rig.client->adopt(adoptions.taker());
  co_await adoptions.came.wait();
  EXPECT_EQ(adoptions.all.at(0).keep, "text");
}
TEST(SpawnerKept, AServerThatIsCutOffDoesNotTakeThemAlong) {
  Rig rig;
  rig.run(cut_off(rig));
}

}  // namespace
}  // namespace fivefold::process
