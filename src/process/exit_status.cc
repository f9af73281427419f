#include <csignal>
#include <string>
#include <string_view>

#include "process/child.h"

namespace fivefold::process {
namespace {

std::string_view signal_words(int number) {
  switch (number) {
    case SIGHUP:
      return "hang-up";
    case SIGINT:
      return "interrupted";
    case SIGQUIT:
      return "quit";
    case SIGILL:
      return "illegal instruction";
    case SIGTRAP:
      return "trap";
    case SIGABRT:
      return "aborted itself";
    case SIGBUS:
      return "bus error";
    case SIGFPE:
      return "arithmetic error";
    case SIGKILL:
      return "killed; out of memory, or ended by the server?";
    case SIGUSR1:
      return "user signal 1";
    case SIGUSR2:
      return "user signal 2";
    case SIGSEGV:
      return "segmentation fault";
    case SIGPIPE:
      return "broken pipe: nobody reads its output any more";
    case SIGALRM:
      return "alarm";
    case SIGTERM:
      return "asked to end";
    case SIGXCPU:
      return "used more processor time than its limit";
    case SIGXFSZ:
      return "wrote a larger file than its limit";
    case SIGSYS:
      return "forbidden system call";
    default:
      return {};
  }
}

}  // namespace

std::string in_words(const ExitStatus& status) {
  if (status.signal) {
    std::string words = "was ended by signal " + std::to_string(*status.signal);
    const std::string_view name = signal_words(*status.signal);
    if (name.empty() && !status.core_dumped) return words;
    words += " (";
    words += name;
    if (status.core_dumped) words += name.empty() ? "core dumped" : ", core dumped";
    return words + ")";
  }
  if (!status.code) return "has not ended";
  switch (*status.code) {
    case 0:
      return "exited with status 0 (success)";
    case 126:
      return "exited with status 126 (a command was found but could not be executed)";
    case 127:
      return "exited with status 127 (a command could not be found by its interpreter, or a library could not be "
             "loaded)";
    default:
      break;
  }
  std::string words = "exited with status " + std::to_string(*status.code);
  // A shell reports a signal to its command in this way.
  if (*status.code > 128 && *status.code < 128 + 65) {
    words += " (its command was ended by signal " + std::to_string(*status.code - 128);
    if (const auto name = signal_words(*status.code - 128); !name.empty()) words += ": " + std::string(name);
    words += ")";
  }
  return words;
}

}  // namespace fivefold::process
