#include "app/keeper/log_files.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <ctime>
#include <nlohmann/json.hpp>

#include "control/paths.h"

namespace fivefold::app {
namespace {

constexpr mode_t kLogMode =
    0640;  // readable for the group (adm, a log collector), not for everybody: paths and addresses are private
constexpr mode_t kFolderMode = 0750;

Result<UniqueFd> open_log(const std::string& path, int standard, const std::string& key) {
  if (path == "-") {
    UniqueFd copy(::fcntl(standard, F_DUPFD_CLOEXEC, 3));
    if (!copy) {
      copy.reset(::open("/dev/null", O_WRONLY | O_CLOEXEC));  // started with the stream closed
      if (!copy) return fail_errno(errno, "cannot open /dev/null");
    }
    return copy;
  }
  // O_NONBLOCK: a FIFO without a reader fails at once; a regular file does not care.
  UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, kLogMode));
  if (!fd && errno == ENOENT) {
    const auto folder = path.substr(0, path.rfind('/'));
    if (!folder.empty() && ::mkdir(folder.c_str(), kFolderMode) == 0)
      fd.reset(::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, kLogMode));
    else
      errno = ENOENT;
  }
  if (!fd) {
    const int error = errno;
    std::string mend;
    if (error == ENOENT) mend = "; make its folder first";
    if (error == EACCES || error == EPERM)
      mend = "; let the user that starts Fivefold write there, or name another file";
    if (error == EISDIR) mend = "; it is a folder, name a file in it";
    if (error == ENOSPC || error == EROFS) mend = "; free some space or name a file on another disk";
    return fail(Code::internal, "cannot open the log file " + path + " (" + key + "): " + errno_text(error) + mend);
  }
  ::fcntl(fd.get(), F_SETFL, O_APPEND);
  return fd;
}

}  // namespace

Result<LogFiles> open_log_files(const config::Config& config) {
  LogFiles files;
  const auto& server = config.server;
  auto log = open_log(server.log, STDERR_FILENO, "[server] log");
  if (!log) return std::unexpected(log.error());
  files.server = std::move(*log);
  if (server.access_log != "off") {
    auto access = open_log(server.access_log, STDOUT_FILENO, "[server] access_log");
    if (!access) return std::unexpected(access.error());
    files.access = std::move(*access);
  }
  for (const auto& program : config.programs) {
    const auto path = control::program_log_path(server, program.name);
    if (path.empty()) continue;
    auto own = open_log(path, STDERR_FILENO, "[server] program_logs");
    if (!own) return std::unexpected(own.error());
    files.programs.emplace(program.name, std::move(*own));
  }
  return files;
}

nlohmann::json to_json(const LogFiles& files, DescriptorList& fds) {
  auto programs = nlohmann::json::object();
  for (const auto& [name, fd] : files.programs) programs[name] = fds.add(fd.get());
  return {{"server", fds.add(files.server.get())},
          {"access", fds.add(files.access.get())},
          {"programs", std::move(programs)}};
}

LogFiles log_files_from_json(Parcel& parcel, const nlohmann::json& json) {
  LogFiles files;
  files.server = take_descriptor(parcel, json.value("server", nlohmann::json(-1)));
  files.access = take_descriptor(parcel, json.value("access", nlohmann::json(-1)));
  for (const auto& [name, index] : json.at("programs").items())
    if (auto fd = take_descriptor(parcel, index)) files.programs.emplace(name, std::move(fd));
  return files;
}

std::string log_time() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  char text[40];
  const auto length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &parts);
  const auto milliseconds = std::to_string(1000 + now.tv_nsec / 1'000'000).substr(1);
  return std::string(text, length) + "." + milliseconds + "Z";
}

void KeeperLog::write(const char* level, const std::string& message) const {
  std::string line = log_time() + " " + level + " ";
  for (const char c : message) line.push_back(static_cast<unsigned char>(c) < 0x20 && c != '\t' ? ' ' : c);  // one line
  line.push_back('\n');
  pollfd target{fd_ < 0 ? STDERR_FILENO : fd_, POLLOUT, 0};
  if (::poll(&target, 1, 0) != 1) return;  // a pipe that nobody reads
  [[maybe_unused]] const auto written = ::write(target.fd, line.data(), line.size());
}

}  // namespace fivefold::app
