#include "process/spawn_failure.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/text.h"
#include "base/unique_fd.h"

namespace fivefold::process {
namespace {

// The first line of a file when it begins with "#!", without these two; empty otherwise. A carriage return is kept.
std::string interpreter_line(const std::string& path) {
  const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  char bytes[256];
  const ssize_t size = file ? ::read(file.get(), bytes, sizeof bytes) : -1;
  if (size < 2 || bytes[0] != '#' || bytes[1] != '!') return {};
  const std::string_view text(bytes + 2, static_cast<std::size_t>(size) - 2);
  return std::string(text.substr(0, text.find('\n')));
}

// Of the file at `path`, by what the kernel makes of its first line.
std::string missing_interpreter(const std::string& path) {
  std::string line = interpreter_line(path);
  if (line.empty()) return "the program loader it was built for is not installed";
  std::string_view name = trim(line);
  name = name.substr(0, name.find_first_of(" \t"));
  std::string words = "its first line names the interpreter " + printable(name, 200) + ", which does not exist";
  if (name.ends_with('\r')) words += ": the line ends in a carriage return; save the file with Unix line ends";
  return words;
}

std::string execute_failure(int error_number, const std::string& path) {
  const std::string start = "cannot execute " + printable(path, 400) + ": ";
  struct stat status{};
  const bool exists = ::stat(path.c_str(), &status) == 0;
  switch (error_number) {
    case ENOENT:
      if (exists) return start + missing_interpreter(path);
      return start + "there is no such file";
    case EACCES:
      if (exists && S_ISDIR(status.st_mode)) return start + "it is a folder";
      if (exists && S_ISREG(status.st_mode) && (status.st_mode & 0111) == 0)
        return start + "it is not executable (" + errno_text(error_number) + "); run chmod +x on it";
      return start + errno_text(error_number) +
             "; the user it runs as needs the right to execute it and to enter every folder above it, and the file "
             "system must not be mounted noexec";
    case ENOEXEC:
      if (exists && status.st_size == 0) return start + "the file is empty";
      return start + "the system does not know this kind of file (" + errno_text(error_number) +
             "); a script needs a first line such as #!/bin/sh, a compiled program must be made for this machine";
    case E2BIG:
      return start + "its arguments and environment are too large (" + errno_text(error_number) + ")";
    case ETXTBSY:
      return start + "it is open for writing (" + errno_text(error_number) + "); try again when it has been written";
    case EAGAIN:
      return start + "its user has too many processes (" + errno_text(error_number) + "); raise the limit of processes";
    default:
      return start + errno_text(error_number);
  }
}

}  // namespace

Error spawn_failure(SpawnStep step, int error_number, const SpawnPlan& plan) {
  const bool may_pass = error_number == EAGAIN || error_number == ENOMEM || error_number == EMFILE ||
                        error_number == ENFILE || error_number == ENOSPC || error_number == ETXTBSY ||
                        error_number == ENOBUFS;
  Error error{may_pass ? Code::program_unavailable : Code::program_failed, {}, may_pass ? kRetryAfterSeconds : ""};
  const std::string program = printable(plan.executable, 400);
  const std::string reason = errno_text(error_number);
  switch (step) {
    case SpawnStep::execute:
      error.message = execute_failure(error_number, plan.executable);
      break;
    case SpawnStep::directory:
      error.message = "cannot start " + program + " in the folder " + printable(plan.directory, 400) + ": " + reason;
      break;
    case SpawnStep::program:
      error.message = "cannot start " + program + ": the spawning helper does not know program number " +
                      std::to_string(plan.program);
      break;
    case SpawnStep::descriptors:
      error.message = "cannot start " + program + ": the spawning helper is out of file descriptors (" + reason +
                      "); raise the limit of open files";
      break;
    case SpawnStep::watch:
    case SpawnStep::create:
      error.message = "cannot start " + program + ": no new process could be made (" + reason + ")";
      break;
    case SpawnStep::limits:
      error.message = "cannot start " + program + ": its limits could not be set (" + reason + ")";
      break;
    case SpawnStep::supplementary_groups:
    case SpawnStep::group:
    case SpawnStep::user:
      error.message = "cannot start " + program + " as its user: " +
                      std::string(step == SpawnStep::user    ? "changing the user"
                                  : step == SpawnStep::group ? "changing the group"
                                                             : "setting the supplementary groups") +
                      " failed (" + reason + "); the server must be started as root to run programs as other users";
      break;
    case SpawnStep::parent:
      error.message = "cannot start " + program + ": the spawning helper ended meanwhile";
      break;
    case SpawnStep::keep:
      error.message = "cannot start " + program +
                      ": the spawning helper keeps as many applications' processes as it may; use fewer instances, or "
                      "more helpers ([server] spawners)";
      break;
    case SpawnStep::none:
    case SpawnStep::signals:
    case SpawnStep::session:
    case SpawnStep::streams:
      error.message =
          "cannot start " + program + ": its session and standard streams could not be set up (" + reason + ")";
      break;
    default:
      error.message = "cannot start " + program + ": " + reason;
      break;
  }
  return error;
}

}  // namespace fivefold::process
