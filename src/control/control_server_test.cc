#include "control/control_server.h"

#include <gtest/gtest.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "control/control_client.h"
#include "control/fixture_test.h"
#include "control/protocol.h"

namespace fivefold::control {
namespace {

// A control server on a socket in a folder of its own, its loop on a thread.
class ControlServerTest : public testing::Test {
 protected:
  void SetUp() override { start(::geteuid()); }
  void TearDown() override {
    main_.stop();
    thread_.join();
    control_.reset();
    std::filesystem::remove_all(folder_);
  }

  void start(uid_t keeper_uid) {
    char name[] = "/tmp/fivefold-control-XXXXXX";
    folder_ = ::mkdtemp(name);
    path_ = folder_ + "/control.sock";
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(fd.get(), 64), 0);
    view_.http = server_.http.get();
    view_.keeper_pid = 4710;
    control_ = std::make_unique<ControlServer>(main_, std::move(fd), keeper_uid, view_, server_.log,
                                               [this](std::uint64_t id, const std::string& command) {
                                                 if (command == "restart") return false;  // as if the keeper were gone
                                                 control_->answer(id, command == "reload", "heard " + command);
                                                 return true;
                                               });
    thread_ = std::thread([this] { main_.run(); });
  }

  UniqueFd connect() {
    UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path_.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    return fd;
  }

  TestServer server_;
  net::Loop main_{1};
  ServerView view_;
  std::string folder_, path_;
  std::unique_ptr<ControlServer> control_;
  std::thread thread_;
};

std::string read_all(int fd) {
  std::string text;
  char piece[4096];
  for (ssize_t bytes; (bytes = ::read(fd, piece, sizeof piece)) > 0;)
    text.append(piece, static_cast<std::size_t>(bytes));
  return text;
}

TEST_F(ControlServerTest, AnswersStatusInOneLine) {
  const auto answer = ask(path_, "status");
  ASSERT_TRUE(answer) << answer.error().message;
  EXPECT_EQ(std::count(answer->begin(), answer->end(), '\n'), 1);
  EXPECT_EQ(nlohmann::json::parse(*answer).at("keeper_pid"), 4710);
}

TEST_F(ControlServerTest, AnswersMetricsAsText) {
  const auto answer = ask(path_, "metrics");
  ASSERT_TRUE(answer);
  EXPECT_NE(answer->find("fivefold_requests_total 0\n"), std::string::npos);
}

TEST_F(ControlServerTest, PassesCommandsToTheKeeperAndItsAnswerBack) {
  const auto good = ask_json(path_, "reload");
  ASSERT_TRUE(good);
  EXPECT_EQ(good->at("ok"), true);
  EXPECT_EQ(good->at("text"), "heard reload");
  const auto bad = ask_json(path_, "stop");
  ASSERT_TRUE(bad);
  EXPECT_EQ(bad->at("ok"), false);
  EXPECT_EQ(bad->at("keeper_pid"), 4710);
  const auto gone = ask_json(path_, "restart");
  ASSERT_TRUE(gone);
  EXPECT_EQ(gone->at("ok"), false);
}

TEST_F(ControlServerTest, RefusesWhatItDoesNotKnow) {
  const auto unknown = ask_json(path_, "explode");
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->at("ok"), false);
  for (const char* line : {"[]\n", "{\"command\": 5}\n", "{\n", "\n"}) {
    auto fd = connect();
    ASSERT_GT(::send(fd.get(), line, std::strlen(line), MSG_NOSIGNAL), 0);
    EXPECT_NE(read_all(fd.get()).find("\"ok\":false"), std::string::npos) << line;
  }
}

TEST_F(ControlServerTest, ARequestLongerThanTheLimitIsRefused) {
  auto fd = connect();
  const std::string line(kRequestLimit + 1000, 'x');
  (void)::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL);
  EXPECT_NE(read_all(fd.get()).find("longer than"), std::string::npos);
}

TEST_F(ControlServerTest, ConnectionsAreBoundedAndASilentOneHoldsNobodyUp) {
  std::vector<UniqueFd> silent;
  for (std::size_t i = 0; i < kConnections; ++i) silent.push_back(connect());
  auto one_more = connect();
  EXPECT_EQ(read_all(one_more.get()), "");  // closed at once
  silent.pop_back();
  // The place is free as soon as the server has seen the close.
  Result<std::string> answer = fail(Code::closed, "");
  for (int i = 0; i < 1000 && !answer; ++i) answer = ask(path_, "status");
  EXPECT_TRUE(answer);
}

TEST(ControlClient, SaysWhatToDoWhenNobodyAnswers) {
  const auto answer = ask("/tmp/fivefold-there-is-no-such-socket", "status");
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().message.find("--control"), std::string::npos);
}

}  // namespace
}  // namespace fivefold::control
