#include "app/keeper/notify.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

namespace fivefold::app {
namespace {

TEST(Notify, MessagesAreWhatTheServiceManagerReads) {
  EXPECT_EQ(ready_message(4711, "Serving 1 route"), "READY=1\nMAINPID=4711\nSTATUS=Serving 1 route");
  EXPECT_EQ(reloading_message(std::chrono::microseconds(42)),
            "RELOADING=1\nMONOTONIC_USEC=42\nSTATUS=Reading the configuration");
}

TEST(Notify, AStatusCannotSmuggleInAnotherAssignment) { EXPECT_EQ(status_message("a\nREADY=1"), "STATUS=a READY=1"); }

TEST(Notify, ArrivesAtTheSocketOfTheEnvironmentAndTakesItAway) {
  const std::string name = "@fivefold-notify-test-" + std::to_string(::getpid());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  name.copy(address.sun_path, sizeof address.sun_path - 1);
  address.sun_path[0] = '\0';
  UniqueFd manager(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(::bind(manager.get(), reinterpret_cast<const sockaddr*>(&address),
                   static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size())),
            0);
  ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  const auto notifier = Notifier::from_environment();
  EXPECT_EQ(std::getenv("NOTIFY_SOCKET"), nullptr);
  notifier.status("hello");
  char text[100];
  const ssize_t bytes = ::recv(manager.get(), text, sizeof text, MSG_DONTWAIT);
  ASSERT_GT(bytes, 0);
  EXPECT_EQ(std::string_view(text, static_cast<std::size_t>(bytes)), "STATUS=hello");
}

TEST(Notify, WithoutAManagerNothingHappens) {
  Notifier().ready("x");
  Notifier("relative/path").ready("x");
  Notifier("/there/is/no/such/socket").stopping();
}

TEST(ActivatedSockets, AreTakenOnlyWhenTheyAreForThisProcess) {
  ::setenv("LISTEN_PID", "1", 1);
  ::setenv("LISTEN_FDS", "1", 1);
  EXPECT_TRUE(take_activated_sockets().empty());
  EXPECT_EQ(std::getenv("LISTEN_FDS"), nullptr);
  ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
  ::setenv("LISTEN_FDS", "-5", 1);
  EXPECT_TRUE(take_activated_sockets().empty());
}

}  // namespace
}  // namespace fivefold::app
