#include "net/resolver.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>

#include <atomic>
#include <map>
#include <mutex>
#include <thread>

#include "net/net_testing.h"

namespace fivefold::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using Addresses = Result<std::vector<SocketAddress>>;

// A name server of one thread on a loopback port: answers from a table, counts the questions for IPv4 addresses.
class NameServer {
 public:
  struct Record {
    std::vector<std::string> addresses;
    std::uint32_t ttl = 60;
    bool silent = false;
    std::uint8_t failure = 0;  // an RCODE
  };

  NameServer() {
    socket_.reset(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    SocketAddress address = *SocketAddress::numeric("127.0.0.1", 0);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<sockaddr*>(&address.storage), address.length), 0);
    EXPECT_EQ(::getsockname(socket_.get(), reinterpret_cast<sockaddr*>(&address.storage), &address.length), 0);
    where_ = address.text();
    end_.reset(::eventfd(0, EFD_CLOEXEC));
    thread_ = std::thread([this] { serve(); });
  }
  ~NameServer() {
    const std::uint64_t one = 1;
    EXPECT_EQ(::write(end_.get(), &one, sizeof one), 8);
    thread_.join();
  }
  const std::string& where() const { return where_; }
  void put(const std::string& name, Record record) {
    const std::lock_guard lock(mutex_);
    records_[name] = std::move(record);
  }
  int questions(const std::string& name) {
    const std::lock_guard lock(mutex_);
    return questions_[name];
  }

 private:
  void serve() {
    while (true) {
      pollfd ready[2] = {{socket_.get(), POLLIN, 0}, {end_.get(), POLLIN, 0}};
      if (::poll(ready, 2, -1) < 0 || ready[1].revents) return;
      char bytes[1500];
      sockaddr_storage from{};
      socklen_t length = sizeof from;
      const ssize_t size =
          ::recvfrom(socket_.get(), bytes, sizeof bytes, 0, reinterpret_cast<sockaddr*>(&from), &length);
      if (size < 17) continue;
      const std::string reply = answer(std::string(bytes, static_cast<std::size_t>(size)));
      if (!reply.empty())
        ::sendto(socket_.get(), reply.data(), reply.size(), 0, reinterpret_cast<sockaddr*>(&from), length);
    }
  }

  // RFC 1035 section 4: header, the question again, then the records.
  std::string answer(const std::string& question) {
    std::string name;
    std::size_t at = 12;
    while (at < question.size() && question[at] != 0) {
      const auto label = static_cast<unsigned char>(question[at]);
      if (!name.empty()) name += '.';
      name += question.substr(at + 1, label);
      at += label + 1u;
    }
    const int type = static_cast<unsigned char>(question[at + 2]);
    const std::size_t end = at + 5;
    const std::lock_guard lock(mutex_);
    if (type == 1) ++questions_[name];
    const auto found = records_.find(name);
    if (found != records_.end() && found->second.silent) return {};
    const std::uint8_t failure = found == records_.end() ? 3 : found->second.failure;
    std::string records;
    std::uint8_t count = 0;
    if (found != records_.end() && failure == 0) {
      for (const auto& text : found->second.addresses) {
        in6_addr raw{};
        const bool six = ::inet_pton(AF_INET6, text.c_str(), &raw) == 1;
        if (!six) EXPECT_EQ(::inet_pton(AF_INET, text.c_str(), &raw), 1);
        if (type != (six ? 28 : 1)) continue;
        const std::uint32_t ttl = htonl(found->second.ttl);
        const std::uint16_t size = six ? 16 : 4;
        records += std::string("\xC0\x0C\x00", 3) + static_cast<char>(type) + std::string("\x00\x01", 2);
        records.append(reinterpret_cast<const char*>(&ttl), 4);
        records += std::string(1, '\0') + static_cast<char>(size);
        records.append(reinterpret_cast<const char*>(&raw), size);
        ++count;
      }
    }
    std::string reply = question.substr(0, 2) + "\x85" + static_cast<char>(0x80 | failure);
    reply += std::string("\x00\x01\x00", 3) + static_cast<char>(count) + std::string(4, '\0');
    return reply + question.substr(12, end - 12) + records;
  }

  UniqueFd socket_, end_;
  std::string where_;
  std::mutex mutex_;
  std::map<std::string, Record> records_;
  std::map<std::string, int> questions_;
  std::thread thread_;
};

struct World {
  NameServer server;
  std::atomic<std::int64_t> passed{0};  // seconds, by the resolver's clock
  std::atomic<std::int64_t> looks{0};   // each look at the clock is a nanosecond later
  const TimePoint start = Clock::now();
  BlockingPool pool{2};
  Loop loop{0};
  Resolver resolver{pool, {.servers = server.where(), .timeout = milliseconds(400), .now = [this] {
                             return start + seconds(passed.load()) + std::chrono::nanoseconds(++looks);
                           }}};
  Addresses resolve(const std::string& host, std::uint16_t port = 80) {
    return result_of<Addresses>(loop, resolver.resolve(loop, host, port), fail(Code::internal, "unset"));
  }
  std::vector<std::string> texts(const std::string& host) {
    std::vector<std::string> texts;
    const auto addresses = resolve(host);
    if (!addresses) return {addresses.error().message};
    for (const auto& address : *addresses) texts.push_back(address.text());
    return texts;
  }
  // A refresh in the background has ended when the name server has answered and the new answer serves.
  void wait_for(const std::string& host, const std::string& address) {
    for (int i = 0; i < 1000 && texts(host) != std::vector{address}; ++i) run(loop, sleep_briefly(loop));
  }
};

TEST(Resolver, NumbersAskNobody) {
  World world;
  EXPECT_THAT(world.texts("127.0.0.1"), ElementsAre("127.0.0.1:80"));
  EXPECT_THAT(world.texts("::1"), ElementsAre("[::1]:80"));
  EXPECT_EQ(world.server.questions("127.0.0.1"), 0);
}

TEST(Resolver, LocalhostIsHere) {
  World world;
  const auto texts = world.texts("LocalHost");
  EXPECT_THAT(texts, testing::Contains("127.0.0.1:80"));
  EXPECT_EQ(world.server.questions("localhost"), 0);
}

TEST(Resolver, AsksForBothFamiliesAndSetsThePort) {
  World world;
  world.server.put("both.test", {{"127.0.0.7", "::1"}});
  const auto addresses = world.resolve("Both.Test", 8443);
  ASSERT_TRUE(addresses.has_value()) << addresses.error().message;
  std::vector<std::string> texts;
  for (const auto& address : *addresses) texts.push_back(address.text());
  EXPECT_THAT(texts, testing::UnorderedElementsAre("[::1]:8443", "127.0.0.7:8443"));
}

TEST(Resolver, AnAnswerServesForItsTimeToLive) {
  World world;
  world.server.put("app.test", {{"127.0.0.1"}, 30});
  EXPECT_THAT(world.texts("app.test"), ElementsAre("127.0.0.1:80"));
  world.server.put("app.test", {{"127.0.0.2"}, 30});
  world.passed = 29;
  EXPECT_THAT(world.texts("app.test"), ElementsAre("127.0.0.1:80"));
  EXPECT_EQ(world.server.questions("app.test"), 1);
  world.passed = 31;  // the old one serves, and the name is asked again
  EXPECT_THAT(world.texts("app.test"), ElementsAre("127.0.0.1:80"));
  world.wait_for("app.test", "127.0.0.2:80");
  EXPECT_THAT(world.texts("app.test"), ElementsAre("127.0.0.2:80"));
  EXPECT_EQ(world.server.questions("app.test"), 2);
}

TEST(Resolver, AnAnswerNobodyAskedForInAWhileIsNotTrusted) {
  World world;
  world.server.put("app.test", {{"127.0.0.1"}, 1});
  EXPECT_THAT(world.texts("app.test"), ElementsAre("127.0.0.1:80"));
  world.server.put("app.test", {{"127.0.0.2"}, 1});
  world.passed = 120;
  EXPECT_THAT(world.texts("app.test"), ElementsAre("127.0.0.2:80"));
}

TEST(Resolver, LivesAreBounded) {
  World world;
  world.server.put("short.test", {{"127.0.0.1"}, 0});
  world.server.put("long.test", {{"127.0.0.1"}, 1'000'000});
  for (int i = 0; i < 3; ++i) EXPECT_THAT(world.texts("short.test"), ElementsAre("127.0.0.1:80"));
  EXPECT_EQ(world.server.questions("short.test"), 1);
  EXPECT_THAT(world.texts("long.test"), ElementsAre("127.0.0.1:80"));
  world.server.put("long.test", {{"127.0.0.2"}, 60});
  world.passed = 3700;
  EXPECT_THAT(world.texts("long.test"), ElementsAre("127.0.0.2:80"));
}

TEST(Resolver, AFailureIsSaidInWordsAndNotAskedAgainAtOnce) {
  World world;
  const auto missing = world.resolve("missing.test");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, Code::program_unavailable);
  EXPECT_THAT(missing.error().message, HasSubstr("the name missing.test has no address: Domain name not found"));
  const int asked = world.server.questions("missing.test");
  world.server.put("missing.test", {{"127.0.0.1"}});
  EXPECT_FALSE(world.resolve("missing.test").has_value());
  EXPECT_EQ(world.server.questions("missing.test"), asked);
  world.passed = 3;
  EXPECT_THAT(world.texts("missing.test"), ElementsAre("127.0.0.1:80"));
}

TEST(Resolver, ASilentServerCostsTheTimeoutOnly) {
  World world;
  world.server.put("silent.test", {{}, 0, true});
  const auto begun = Clock::now();
  const auto silent = world.resolve("silent.test");
  ASSERT_FALSE(silent.has_value());
  EXPECT_THAT(silent.error().message, HasSubstr("silent.test"));
  EXPECT_GE(Clock::now() - begun, milliseconds(400));
  EXPECT_LT(Clock::now() - begun, seconds(10));
}

TEST(Resolver, WhenAskingFailsTheOldAnswerServesForAWhile) {
  World world;
  world.server.put("app.test", {{"127.0.0.1"}, 10});
  EXPECT_THAT(world.texts("app.test"), ElementsAre("127.0.0.1:80"));
  world.server.put("app.test", {{}, 0, false, 2});  // SERVFAIL
  world.passed = 11;
  EXPECT_THAT(world.texts("app.test"), ElementsAre("127.0.0.1:80"));
  world.passed = 10 + 599;
  EXPECT_THAT(world.texts("app.test"), ElementsAre("127.0.0.1:80"));
  world.passed = 10 + 601;
  EXPECT_FALSE(world.resolve("app.test").has_value());
}

Task<void> resolve_into(Resolver& resolver, Loop& loop, std::string host, int& answers) {
  const auto addresses = co_await resolver.resolve(loop, host, 80);
  if (addresses) ++answers;
}
Task<void> resolve_often(Resolver& resolver, Loop& loop, int& answers) {
  TaskGroup group;
  Event done(loop);
  group.on_empty([&] { done.set(); });
  for (int i = 0; i < 50; ++i) group.start(resolve_into(resolver, loop, "shared.test", answers));
  co_await done.wait();
}

TEST(Resolver, ANameIsAskedOnceHoweverManyWantIt) {
  World world;
  world.server.put("shared.test", {{"127.0.0.1"}});
  int answers = 0, elsewhere = 0;
  std::thread other([&] {
    Loop loop(1);
    run(loop, resolve_often(world.resolver, loop, elsewhere));
  });
  run(world.loop, resolve_often(world.resolver, world.loop, answers));
  other.join();
  EXPECT_EQ(answers, 50);
  EXPECT_EQ(elsewhere, 50);
  EXPECT_EQ(world.server.questions("shared.test"), 1);
}

TEST(Resolver, ManyNamesAtOnceAllGetTheirAnswer) {
  World world;
  int answers = 0;
  for (int i = 0; i < 100; ++i) world.server.put("n" + std::to_string(i) + ".test", {{"127.0.0.1"}});
  TaskGroup group;
  group.on_empty([&] { world.loop.stop(); });
  for (int i = 0; i < 100; ++i)
    group.start(resolve_into(world.resolver, world.loop, "n" + std::to_string(i) + ".test", answers));
  world.loop.run();
  EXPECT_EQ(answers, 100);
}

TEST(Resolver, TheNameLongestUnusedIsForgotten) {
  World world;
  const auto name = [](std::size_t i) { return "n" + std::to_string(i) + ".test"; };
  int answers = 0;
  for (std::size_t i = 0; i <= Resolver::kMostNames; ++i) {
    world.server.put(name(i), {{"127.0.0.1"}});
    run(world.loop, resolve_into(world.resolver, world.loop, name(i), answers));
  }
  run(world.loop, resolve_into(world.resolver, world.loop, name(2), answers));
  EXPECT_EQ(world.server.questions(name(2)), 1);
  run(world.loop, resolve_into(world.resolver, world.loop, name(0), answers));
  EXPECT_EQ(world.server.questions(name(0)), 2);
  EXPECT_EQ(answers, static_cast<int>(Resolver::kMostNames) + 3);
}

TEST(Resolver, AnEndlessListOfAddressesIsCut) {
  World world;
  NameServer::Record record;
  for (int i = 1; i <= 20; ++i) record.addresses.push_back("127.0.1." + std::to_string(i));
  for (int i = 1; i <= 15; ++i) record.addresses.push_back("::" + std::to_string(i));
  world.server.put("many.test", record);
  EXPECT_EQ(world.texts("many.test").size(), Resolver::kMostAddresses);
}

TEST(Resolver, MayBeLetGoOfWhileItAsks) {
  World world;
  world.server.put("silent.test", {{}, 0, true});
  world.server.put("app.test", {{"127.0.0.1"}});
  {
    Loop gone(1);
    int answers = 0;
    Running abandoned(resolve_into(world.resolver, gone, "silent.test", answers));
    EXPECT_FALSE(abandoned.done());
  }
  EXPECT_THAT(world.texts("app.test"), ElementsAre("127.0.0.1:80"));
  EXPECT_FALSE(world.resolve("silent.test").has_value());  // the lookup that was let go of, or one more
}

TEST(Resolver, EndsAtOnceAlthoughALookupIsUnderWay) {
  NameServer server;
  server.put("silent.test", {{}, 0, true});
  const auto begun = Clock::now();
  {
    BlockingPool pool(1);
    Loop loop(0);
    Resolver resolver(pool, {.servers = server.where(), .timeout = seconds(30)});
    int answers = 0;
    Running abandoned(resolve_into(resolver, loop, "silent.test", answers));
    for (int i = 0; i < 1000 && server.questions("silent.test") == 0; ++i) run(loop, sleep_briefly(loop));
  }
  EXPECT_LT(Clock::now() - begun, seconds(10));
}

TEST(Resolver, NoNamesAreRefused) {
  World world;
  for (const std::string& host : {std::string(), std::string("a b"), std::string("a\0b", 3), std::string(300, 'a')})
    EXPECT_FALSE(world.resolve(host).has_value()) << host;
}

}  // namespace
}  // namespace fivefold::net
