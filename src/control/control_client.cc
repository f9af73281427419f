#include "control/control_client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>

#include "base/unique_fd.h"
#include "control/protocol.h"

namespace fivefold::control {
namespace {

constexpr int kTries = 5;
constexpr int kBetweenTries = 100;  // milliseconds
constexpr std::size_t kAnswerLimit = 64 * 1024 * 1024;

Result<UniqueFd> connect(const std::string& path, std::chrono::seconds patience) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path)
    return fail(Code::internal, "The path of the control socket, " + path + ", is too long for a socket.");
  std::memcpy(address.sun_path, path.data(), path.size());
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail_errno(errno, "opening a socket");
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED)
      return fail(Code::closed,
                  "No Fivefold answers on " + path +
                      ". Start one (fivefold run), or say where it is with --control PATH or --config FILE.");
    if (errno == EACCES || errno == EPERM)
      return fail(Code::forbidden, "You may not use the control socket " + path +
                                       "; only root and the user that started Fivefold may (try sudo).");
    return fail_errno(errno, "connecting to " + path);
  }
  const timeval limit{patience.count(), 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  return fd;
}

// One try. Code::cancelled: the connection was closed without an answer.
Result<std::string> ask_once(const std::string& socket_path, const std::string& command, const std::string& program) {
  // Longer than the server waits for its keeper, or for a program's instances.
  auto fd = connect(socket_path, program.empty() ? kKeeperTime + kSilence : kProgramTime + kSilence);
  if (!fd) return std::unexpected(fd.error());
  nlohmann::json asked{{"command", command}};
  if (!program.empty()) asked["program"] = program;
  const auto request = asked.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  if (::send(fd->get(), request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size()) &&
      errno != EPIPE && errno != ECONNRESET)
    return fail_errno(errno, "sending to " + socket_path);
  std::string answer;
  char piece[65536];
  while (true) {
    const ssize_t bytes = ::recv(fd->get(), piece, sizeof piece, 0);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
      return fail(Code::timed_out, "The server on " + socket_path + " has not answered in time; its log may tell why.");
    if (bytes < 0 && errno != ECONNRESET) return fail_errno(errno, "reading from " + socket_path);
    if (bytes <= 0) break;
    answer.append(piece, static_cast<std::size_t>(bytes));
    if (answer.size() > kAnswerLimit)
      return fail(Code::content_too_large, "The answer from " + socket_path + " does not end.");
  }
  if (answer.empty())
    return fail(Code::cancelled, "The server on " + socket_path +
                                     " closed the connection without an answer: it may be starting again, or not know "
                                     "you. Try again.");
  return answer;
}

}  // namespace

Result<std::string> ask(const std::string& socket_path, const std::string& command, const std::string& program) {
  // A server process that is being replaced closes its connections; the next one answers on the same socket.
  for (int tries = 1;; ++tries) {
    auto answer = ask_once(socket_path, command, program);
    if (answer || answer.error().code != Code::cancelled || tries == kTries) return answer;
    ::poll(nullptr, 0, kBetweenTries);
  }
}

Result<nlohmann::json> ask_json(const std::string& socket_path, const std::string& command,
                                const std::string& program) {
  auto answer = ask(socket_path, command, program);
  if (!answer) return std::unexpected(answer.error());
  auto json = nlohmann::json::parse(*answer, nullptr, false);
  if (!json.is_object())
    return fail(Code::internal,
                "The answer from " + socket_path + " is not understood; is it another version of Fivefold?");
  return json;
}

}  // namespace fivefold::control
