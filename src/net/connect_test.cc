#include "net/connect.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <thread>

#include "net/net_testing.h"

namespace fivefold::net {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

// A listening TCP socket on a free port of a loopback address.
struct TcpServer {
  explicit TcpServer(const char* host = "127.0.0.1", int backlog = 8, std::uint16_t wanted = 0) {
    SocketAddress address = *SocketAddress::numeric(host, wanted);
    fd.reset(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    usable = ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address.storage), address.length) == 0 &&
             ::listen(fd.get(), backlog) == 0;
    address.length = sizeof address.storage;
    EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address.storage), &address.length), 0);
    port = ntohs(reinterpret_cast<const sockaddr_in&>(address.storage).sin_port);
  }
  UniqueFd fd;
  bool usable = false;
  std::uint16_t port = 0;
};

struct UnixServer {
  explicit UnixServer(const std::string& path, int backlog = 8) : address(SocketAddress::unix_path(path).value()) {
    fd.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address.storage), address.length), 0);
    EXPECT_EQ(::listen(fd.get(), backlog), 0);
  }
  SocketAddress address;
  UniqueFd fd;
};

std::string abstract_name(const char* purpose) { return "@fivefold-test-" + std::to_string(::getpid()) + purpose; }

Result<UniqueFd> connect_within(Loop& loop, const SocketAddress& address, milliseconds time = milliseconds(5000)) {
  return result_of<Result<UniqueFd>>(loop, connect(loop, address, Clock::now() + time), fail(Code::internal, "unset"));
}

TEST(SocketAddress, SaysWhatItIs) {
  EXPECT_EQ(SocketAddress::numeric("127.0.0.1", 9000)->text(), "127.0.0.1:9000");
  EXPECT_EQ(SocketAddress::numeric("::1", 9000)->text(), "[::1]:9000");
  EXPECT_EQ(SocketAddress::numeric("fe80::1%lo", 80)->text(), "[fe80::1%lo]:80");
  EXPECT_EQ(SocketAddress::unix_path("/x/y")->text(), "unix:/x/y");
  EXPECT_EQ(SocketAddress::unix_path("@name")->text(), "unix:@name");
}

TEST(SocketAddress, NamesAreNotNumbers) {
  for (const char* name : {"localhost", "127.1", "0x7f.1", "[::1]", "", "1.2.3.4.5", "::1%no-such-interface"})
    EXPECT_FALSE(SocketAddress::numeric(name, 80)) << name;
}

TEST(SocketAddress, APathThatDoesNotFitIsRefusedInWords) {
  EXPECT_TRUE(SocketAddress::unix_path(std::string(107, 'p')).has_value());
  const auto address = SocketAddress::unix_path(std::string(108, 'p'));
  ASSERT_FALSE(address.has_value());
  EXPECT_THAT(address.error().message, HasSubstr("too long"));
  EXPECT_FALSE(SocketAddress::unix_path("").has_value());
}

TEST(Connect, ReachesTcpWithoutDelay) {
  for (const char* host : {"127.0.0.1", "::1"}) {
    Loop loop(0);
    TcpServer server(host);
    if (!server.usable) continue;  // a machine without IPv6
    const auto fd = connect_within(loop, *SocketAddress::numeric(host, server.port));
    ASSERT_TRUE(fd.has_value()) << fd.error().message;
    int no_delay = 0;
    socklen_t size = sizeof no_delay;
    EXPECT_EQ(::getsockopt(fd->get(), IPPROTO_TCP, TCP_NODELAY, &no_delay, &size), 0);
    EXPECT_NE(no_delay, 0);
    EXPECT_NE(::fcntl(fd->get(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(fd->get(), F_GETFD) & FD_CLOEXEC, 0);
  }
}

TEST(Connect, ReachesUnixSockets) {
  Loop loop(0);
  const std::string path = testing::TempDir() + "connect-" + std::to_string(::getpid());
  ::unlink(path.c_str());
  UnixServer in_folder(path), abstract(abstract_name("plain"));
  EXPECT_TRUE(connect_within(loop, in_folder.address).has_value());
  EXPECT_TRUE(connect_within(loop, abstract.address).has_value());
  ::unlink(path.c_str());
}

TEST(Connect, OnThisMachineItEndsWithoutWaiting) {
  Loop loop(0);
  TcpServer tcp;
  UnixServer local(abstract_name("at-once"));
  for (const SocketAddress& address : {*SocketAddress::numeric("127.0.0.1", tcp.port), local.address}) {
    Result<UniqueFd> out;
    Running connecting(store(connect(loop, address, kNever), out));
    EXPECT_TRUE(connecting.done()) << address.text();  // the loop never ran
    EXPECT_TRUE(out && *out);
  }
}

TEST(Connect, SaysWhoRefused) {
  Loop loop(0);
  std::uint16_t port = 0;
  {
    TcpServer server;
    port = server.port;
  }
  const auto tcp = connect_within(loop, *SocketAddress::numeric("127.0.0.1", port));
  ASSERT_FALSE(tcp.has_value());
  EXPECT_EQ(tcp.error().code, Code::program_unavailable);
  EXPECT_EQ(tcp.error().message, "connect to 127.0.0.1:" + std::to_string(port) + ": Connection refused");
  const auto path = connect_within(loop, *SocketAddress::unix_path("/nowhere/socket"));
  ASSERT_FALSE(path.has_value());
  EXPECT_EQ(path.error().message, "connect to unix:/nowhere/socket: No such file or directory");
}

// The kernel goes through the ephemeral ports, first those as odd or even as the lowest is: so often tried, it comes to
// the very port that is being connected to.
TEST(Connect, NeverConnectsToItself) {
  int low = 0, high = 0;
  FILE* range = ::fopen("/proc/sys/net/ipv4/ip_local_port_range", "re");
  ASSERT_NE(range, nullptr);
  ASSERT_EQ(::fscanf(range, "%d %d", &low, &high), 2);
  ::fclose(range);
  std::uint16_t port = 0;
  for (int tried = 0; port == 0 && tried < 1000; ++tried) {
    const auto candidate = static_cast<std::uint16_t>(low + 2 * (::getpid() % 1000 + tried));
    if (TcpServer server("127.0.0.1", 8, candidate); server.usable) port = candidate;
  }
  ASSERT_NE(port, 0);
  Loop loop(0);
  const SocketAddress address = *SocketAddress::numeric("127.0.0.1", port);
  for (int attempt = 0; attempt < high - low; ++attempt) {
    Result<UniqueFd> out;
    Running connecting(store(connect(loop, address, kNever), out));
    ASSERT_TRUE(connecting.done());
    ASSERT_FALSE(out.has_value()) << "attempt " << attempt;
  }
}

TEST(Connect, AFullBacklogIsWaitedFor) {
  Loop loop(0);
  UnixServer server(abstract_name("full"), 0);
  std::vector<UniqueFd> waiting;
  while (true) {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&server.address.storage), server.address.length) != 0) {
      ASSERT_EQ(errno, EAGAIN);
      break;
    }
    waiting.push_back(std::move(fd));
  }
  const auto late = connect_within(loop, server.address, milliseconds(40));
  ASSERT_FALSE(late.has_value());
  EXPECT_EQ(late.error().code, Code::timed_out);
  EXPECT_THAT(late.error().message, HasSubstr("connect to unix:@fivefold-test-"));

  // Let go of while it waits; then one that is let in because somebody was accepted.
  {
    Result<UniqueFd> ignored;
    Running abandoned(store(connect(loop, server.address, kNever), ignored));
    EXPECT_FALSE(abandoned.done());
  }
  Loop again(1);
  std::thread accepting([&] { ::close(::accept(server.fd.get(), nullptr, nullptr)); });
  const auto fd = connect_within(again, server.address);
  accepting.join();
  EXPECT_TRUE(fd.has_value()) << fd.error().message;
}

// A TCP backlog that is full drops what more comes: the client's connect() goes on waiting.
struct SilentServer : TcpServer {
  SilentServer() : TcpServer("127.0.0.1", 0) {
    const SocketAddress address = *SocketAddress::numeric("127.0.0.1", port);
    for (int i = 0; i < 4; ++i) {
      filling.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
      (void)::connect(filling.back().get(), reinterpret_cast<const sockaddr*>(&address.storage), address.length);
    }
  }
  std::vector<UniqueFd> filling;
};

TEST(Connect, GivesUpAtItsDeadline) {
  Loop loop(0);
  SilentServer server;
  const auto fd = connect_within(loop, *SocketAddress::numeric("127.0.0.1", server.port), milliseconds(60));
  ASSERT_FALSE(fd.has_value());
  EXPECT_EQ(fd.error().code, Code::timed_out);
}

TEST(Connect, MayBeLetGoOfWhileItWaits) {
  Loop loop(0);
  SilentServer server;
  {
    Result<UniqueFd> ignored;
    Running waiting(store(connect(loop, *SocketAddress::numeric("127.0.0.1", server.port), kNever), ignored));
    EXPECT_FALSE(waiting.done());
  }
  run(loop, sleep_briefly(loop));  // the aborted operation's end finds nobody
}

TEST(Connect, IsConnectedWhenTheOtherSideAnswersLater) {
  Loop loop(0);
  SilentServer server;
  std::thread accepting([&] {
    for (int i = 0; i < 2; ++i) ::close(::accept(server.fd.get(), nullptr, nullptr));
  });
  const auto fd = connect_within(loop, *SocketAddress::numeric("127.0.0.1", server.port));
  EXPECT_TRUE(fd.has_value()) << fd.error().message;  // after the kernel has sent its SYN again, a second later
  accepting.join();
}

}  // namespace
}  // namespace fivefold::net
