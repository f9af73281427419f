// `fivefold logs`: the end of a log file, and what comes after it.
#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <iostream>

#include "app/commands.h"
#include "base/unique_fd.h"
#include "control/control_client.h"

namespace fivefold::app {
namespace {

constexpr off_t kBlock = 65536;
constexpr int kLookEvery = 250;  // milliseconds between two looks at a followed file

int complain(const std::string& text) {
  std::cerr << "fivefold: " << text << '\n';
  return 1;
}

// The offset at which the last `lines` lines of a file begin.
off_t begin_of_last_lines(int fd, off_t size, unsigned lines) {
  std::string block(static_cast<std::size_t>(kBlock), '\0');
  unsigned seen = 0;
  for (off_t end = size; end > 0;) {
    const off_t begin = end > kBlock ? end - kBlock : 0;
    const ssize_t bytes = ::pread(fd, block.data(), static_cast<std::size_t>(end - begin), begin);
    if (bytes <= 0) return begin;
    for (ssize_t i = bytes - 1; i >= 0; --i) {
      // The line feed that ends the last line begins no other.
      if (block[static_cast<std::size_t>(i)] != '\n' || begin + i == size - 1) continue;
      if (++seen == lines) return begin + i + 1;
    }
    end = begin;
  }
  return 0;
}

// Copies from `offset` to the end; the new offset.
off_t copy_rest(int fd, off_t offset) {
  std::string block(static_cast<std::size_t>(kBlock), '\0');
  for (ssize_t bytes; (bytes = ::pread(fd, block.data(), block.size(), offset)) > 0; offset += bytes)
    std::cout.write(block.data(), bytes);
  std::cout << std::flush;
  return offset;
}

int show(const std::string& path, const LogsOptions& options) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
  if (!fd)
    return complain("The log " + path + " cannot be read: " + errno_text(errno) +
                    (errno == EACCES ? " (try sudo)." : "."));
  struct stat file{};
  ::fstat(fd.get(), &file);
  if (!S_ISREG(file.st_mode)) return complain(path + " is no regular file; its lines cannot be shown again.");
  off_t offset = options.lines == 0 ? file.st_size : begin_of_last_lines(fd.get(), file.st_size, options.lines);
  offset = copy_rest(fd.get(), offset);
  while (options.follow && std::cout) {
    ::poll(nullptr, 0, kLookEvery);
    offset = copy_rest(fd.get(), offset);
    struct stat now{};
    if (::stat(path.c_str(), &now) != 0) continue;  // moved away; the new one comes soon
    if (now.st_ino != file.st_ino || now.st_dev != file.st_dev) {
      UniqueFd next(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY));
      if (!next) continue;
      copy_rest(fd.get(), offset);
      fd = std::move(next);
      file = now;
      offset = copy_rest(fd.get(), 0);
    } else if (now.st_size < offset) {
      offset = copy_rest(fd.get(), 0);  // it was emptied
    }
  }
  return 0;
}

}  // namespace

int logs_command(const Target& target, const LogsOptions& options) {
  if (options.reopen) return tell_command(target, "reopen");
  auto status = control::ask_json(control_path(target), "status");
  if (!status) return complain(status.error().message);
  const auto logs = status->value("logs", nlohmann::json::object());
  std::string path = logs.value(options.access ? "access" : "server", "");
  if (!options.program.empty()) {
    const nlohmann::json* found = nullptr;
    std::string names;
    const auto programs = status->value("programs", nlohmann::json::array());
    for (const auto& program : programs) {
      if (program.value("name", "") == options.program) found = &program;
      names += (names.empty() ? "" : ", ") + program.value("name", "");
    }
    if (!found)
      return complain("There is no program \"" + options.program + "\"; " +
                      (names.empty() ? "the configuration has none." : "the programs are: " + names + "."));
    const auto own = found->value("log", "");
    if (own.empty())
      std::cerr << "fivefold: \"" << options.program
                << "\" writes to the server's log; [server] program_logs gives each program its own.\n";
    else
      path = own;
  }
  if (path == "-" || path.empty())
    return complain(
        options.access
            ? "The access log goes to the server's standard output; [server] access_log = \"PATH\" keeps it in a file."
            : "The log goes to the server's standard error; [server] log = \"PATH\" keeps it in a file.");
  if (path == "off") return complain("There is no access log; [server] access_log = \"PATH\" makes one.");
  return show(path, options);
}

}  // namespace fivefold::app
