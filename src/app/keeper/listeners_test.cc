#include "app/keeper/listeners.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

namespace fivefold::app {
namespace {

config::Listen tcp(const std::string& host, std::uint16_t port) {
  config::Listen listen;
  listen.host = host;
  listen.port = port;
  listen.address = host + ":" + std::to_string(port);
  return listen;
}

config::Listen unix_socket(const std::string& path) {
  config::Listen listen;
  listen.unix_path = path;
  listen.address = "unix:" + path;
  listen.unix_mode = 0660;
  return listen;
}

std::vector<std::string> addresses(const std::vector<config::Listen>& listen) {
  std::vector<std::string> result;
  for (const auto& entry : listen) result.push_back(entry.address);
  return result;
}

std::uint16_t port_of(const std::string& bound) {
  return static_cast<std::uint16_t>(std::stoi(bound.substr(bound.rfind(':') + 1)));
}

int connect_to(std::uint16_t port) {
  UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 ? 0 : errno;
}

class Folder : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/fivefold-listen-XXXXXX";
    folder_ = ::mkdtemp(name);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  std::string folder_;
};

TEST(OnePerSocket, EveryAddressIsTwoSocketsAndDoublesAreOne) {
  EXPECT_EQ(addresses(one_per_socket(
                {tcp("", 80), tcp("127.0.0.1", 80), tcp("127.0.0.1", 80), tcp("::1", 80), unix_socket("/run/x.sock")})),
            (std::vector<std::string>{"0.0.0.0:80", "[::]:80", "127.0.0.1:80", "[::1]:80", "unix:/run/x.sock"}));
}

TEST(Compare, TellsWhatAReloadOpensKeepsAndCloses) {
  const auto change =
      compare({tcp("127.0.0.1", 80), tcp("127.0.0.1", 81)}, {tcp("127.0.0.1", 81), unix_socket("/run/x.sock")});
  EXPECT_EQ(change.kept, std::vector<std::string>{"127.0.0.1:81"});
  EXPECT_EQ(change.added, std::vector<std::string>{"unix:/run/x.sock"});
  EXPECT_EQ(change.removed, std::vector<std::string>{"127.0.0.1:80"});
}

TEST(Listeners, PortZeroIsOnePortForEveryLoop) {
  const auto opened = open_listeners({tcp("127.0.0.1", 0)}, {}, {}, 3);
  ASSERT_TRUE(opened.faults.empty()) << opened.faults.front();
  const auto& socket = *opened.listeners.at(0).socket;
  ASSERT_EQ(socket.fds.size(), 3u);
  EXPECT_NE(port_of(socket.bound), 0);
  for (const auto& fd : socket.fds) EXPECT_EQ(bound_name(fd.get()), socket.bound);
  EXPECT_EQ(connect_to(port_of(socket.bound)), 0);
}

TEST(Listeners, AReloadKeepsTheSocketOfAnAddress) {
  const auto first = open_listeners({tcp("127.0.0.1", 0)}, {}, {}, 1);
  const auto second = open_listeners({tcp("127.0.0.1", 0), tcp("127.0.0.2", 0)}, first.listeners, {}, 1);
  ASSERT_TRUE(second.faults.empty());
  EXPECT_EQ(second.listeners.at(0).socket, first.listeners.at(0).socket);
  EXPECT_EQ(second.added, std::vector<std::string>{"127.0.0.2:0"});
}

TEST(Listeners, APortInUseIsToldEvenToTheSameUser) {
  const auto first = open_listeners({tcp("127.0.0.1", 0)}, {}, {}, 2);
  const auto port = port_of(first.listeners.at(0).socket->bound);
  const auto second = open_listeners({tcp("127.0.0.1", port), tcp("not-a-host.invalid", 1)}, {}, {}, 2);
  ASSERT_EQ(second.faults.size(), 2u);  // both at once
  EXPECT_NE(second.faults[0].find("another program listens there already"), std::string::npos) << second.faults[0];
}

TEST(Listeners, AnotherAddressOnOurOwnPortIsNoConflict) {
  const auto first = open_listeners({tcp("127.0.0.1", 0)}, {}, {}, 1);
  auto kept = first.listeners;
  const auto port = port_of(kept.at(0).socket->bound);
  kept.at(0).listen = tcp("127.0.0.1", port);
  const auto second = open_listeners({tcp("0.0.0.0", port)}, kept, {}, 1);
  EXPECT_TRUE(second.faults.empty()) << second.faults.front();
}

TEST(Listeners, InheritedSocketsAreMatchedOrUsedWhenNothingIsConfigured) {
  auto inherited = open_listeners({tcp("127.0.0.1", 0)}, {}, {}, 1);
  std::vector<UniqueFd> fds;
  fds.push_back(std::move(inherited.listeners.at(0).socket->fds.at(0)));
  fds.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));  // does not listen
  std::vector<std::string> notes;
  const auto activated = describe_activated(std::move(fds), notes);
  ASSERT_EQ(activated.size(), 1u);
  EXPECT_EQ(notes.size(), 1u);
  const auto used = open_listeners({}, {}, activated, 4);
  ASSERT_EQ(used.listeners.size(), 1u);
  EXPECT_EQ(used.listeners[0].socket, activated[0]);
  const auto matched = open_listeners({tcp("127.0.0.1", port_of(activated[0]->bound))}, {}, activated, 4);
  ASSERT_EQ(matched.listeners.size(), 1u);
  EXPECT_EQ(matched.listeners[0].socket, activated[0]);
  const auto other = open_listeners({tcp("127.0.0.3", 0)}, {}, activated, 1);
  EXPECT_EQ(other.notes.size(), 1u);  // nobody answers on the inherited one
}

TEST_F(Folder, AStaleUnixSocketIsReplacedALiveOneIsNot) {
  const auto path = folder_ + "/x.sock";
  {
    UniqueFd stale(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(stale.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  auto socket = open_unix(path, 0600, 16);
  ASSERT_TRUE(socket) << socket.error().message;
  struct stat status{};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  const auto second = open_unix(path, 0600, 16);
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::out_of_resources);
  socket->reset();
  EXPECT_NE(::stat(path.c_str(), &status), 0);  // its file went with it
}

TEST_F(Folder, AFileThatIsNoSocketStays) {
  const auto path = folder_ + "/file";
  {
    UniqueFd file(::creat(path.c_str(), 0600));
  }
  const auto socket = open_unix(path, 0600, 16);
  ASSERT_FALSE(socket);
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_FALSE(open_unix(folder_ + "/" + std::string(200, 'x'), 0600, 16));
  EXPECT_FALSE(open_unix(folder_ + "/none/x.sock", 0600, 16));
}

TEST_F(Folder, AFileThatSomebodyElsePutThereIsNotRemovedAtTheEnd) {
  const auto path = folder_ + "/x.sock";
  auto first = open_unix(path, 0600, 16);
  ASSERT_TRUE(first);
  std::filesystem::remove(path);
  auto second = open_unix(path, 0600, 16);
  ASSERT_TRUE(second);
  first->reset();
  EXPECT_TRUE(std::filesystem::exists(path));
}

TEST_F(Folder, ListenersCrossToTheServer) {
  const auto opened = open_listeners({tcp("127.0.0.1", 0), unix_socket(folder_ + "/x.sock")}, {}, {}, 2);
  ASSERT_TRUE(opened.faults.empty());
  DescriptorList fds;
  const std::vector<std::string> only{"unix:" + folder_ + "/x.sock"};
  const auto json = to_json(opened.listeners, fds, &only);
  Parcel parcel{json, {}};
  for (const int fd : fds.all()) parcel.fds.emplace_back(::dup(fd));
  const auto sockets = listeners_from_json(parcel, json);
  ASSERT_EQ(sockets.size(), 2u);
  EXPECT_TRUE(sockets[0].fds.empty());  // the server has these already
  EXPECT_EQ(sockets[0].bound, opened.listeners[0].socket->bound);
  EXPECT_EQ(sockets[1].fds.size(), 1u);
  EXPECT_EQ(sockets[1].listen.unix_mode, 0660u);
}

}  // namespace
}  // namespace fivefold::app
