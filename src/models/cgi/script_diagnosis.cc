#include "models/cgi/script_diagnosis.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <csignal>

#include "base/text.h"
#include "base/unique_fd.h"

namespace fivefold::models::cgi {
namespace {

constexpr std::size_t kFirstBytes = 256;  // as many as the kernel looks at for a "#!" line

std::string first_bytes(const std::string& file) {
  const UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  std::string bytes(kFirstBytes, '\0');
  const ssize_t count = fd ? ::read(fd.get(), bytes.data(), bytes.size()) : -1;
  bytes.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  return bytes;
}

struct FirstLine {
  bool is_interpreted = false;  // begins with "#!"
  bool is_binary = false;       // an ELF file
  bool windows_line_end = false;
  std::string interpreter;  // "/usr/bin/env" of "#!/usr/bin/env perl -w"
};

FirstLine first_line_of(const std::string& file) {
  const std::string bytes = first_bytes(file);
  FirstLine line;
  line.is_binary = bytes.starts_with(
      "\x7f"
      "ELF");
  line.is_interpreted = bytes.starts_with("#!");
  if (!line.is_interpreted) return line;
  std::string_view text = std::string_view(bytes).substr(
      2, bytes.find('\n') == std::string::npos ? std::string::npos : bytes.find('\n') - 2);
  line.windows_line_end = text.ends_with('\r');
  if (line.windows_line_end) text.remove_suffix(1);
  text = trim(text);
  line.interpreter = text.substr(0, text.find_first_of(" \t"));
  return line;
}

bool exists(const std::string& file) {
  struct stat status{};
  return ::stat(file.c_str(), &status) == 0;
}

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

std::string mend_windows_line_end(const std::string& script) {
  return script +
         " has Windows line ends (CR LF), which make its interpreter's name wrong. Convert it: sed -i 's/\\r$//' " +
         script;
}

// The word between the first pair of quotes after `marker`.
std::string quoted_after(std::string_view text, std::string_view marker) {
  const auto at = text.find(marker);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + marker.size());
  const auto open = text.find_first_of("'\"");
  if (open == std::string_view::npos) return {};
  const auto close = text.find(text[open], open + 1);
  return close == std::string_view::npos ? std::string() : printable(text.substr(open + 1, close - open - 1), 60);
}

std::string mend_start(const Failure& failure, const FirstLine& line) {
  const std::string& script = failure.script;
  if (line.windows_line_end) return mend_windows_line_end(script);
  if (!exists(script))
    return "There is no file " + script + ". Correct the path in the configuration, or put the program there.";
  if (line.is_interpreted && !line.interpreter.empty() && !exists(line.interpreter))
    return "Its first line names the interpreter " + printable(line.interpreter) +
           ", which does not exist. Install it or correct the line.";
  if (has(failure.message, "xec format"))
    return line.is_binary
               ? script + " was built for another kind of machine. Build it here."
               : script + " does not say what runs it. Give it a first line such as #!/bin/sh or #!/usr/bin/perl.";
  if (has(failure.message, "ermission denied"))
    return "Let the user whom the program runs as execute it (chmod +x " + script +
           ") and pass through every folder above it (chmod o+x FOLDER); its file system must not be mounted noexec.";
  if (line.is_binary && has(failure.message, "No such file"))
    return "Its dynamic loader is missing: it was built for another system. Build it here or link it statically.";
  return {};
}

std::string mend_from_output(const Failure& failure) {
  const std::string_view output = failure.output;
  if (has(output, "ModuleNotFoundError") || has(output, "ImportError"))
    return "The Python module " + quoted_after(output, "No module named") +
           " is not installed for the interpreter that runs this. Install it, or name the right interpreter in the "
           "first line.";
  if (has(output, "Can't locate ") && has(output, "@INC")) {
    auto module = output.substr(output.find("Can't locate ") + 13);
    return "The Perl module " + printable(module.substr(0, module.find(' ')), 60) +
           " is not installed. Install it, or set PERL5LIB in the program's env.";
  }
  if (has(output, "SyntaxError") || has(output, "IndentationError"))
    return "It has a syntax error; see: python3 -m py_compile " + failure.script;
  if (has(output, "compilation errors") || has(output, "syntax error at"))
    return "It has a syntax error; see: perl -c " + failure.script;
  if (has(output, "yntax error") || has(output, "unexpected end of file") || has(output, "nterminated quoted string"))
    return "It has a syntax error; see: sh -n " + failure.script;
  if (has(output, "error while loading shared libraries"))
    return "A shared library is missing. Install it, or set LD_LIBRARY_PATH in the program's env.";
  if (has(output, "ermission denied")) return "The user whom the program runs as may not use a file that it needs.";
  if (has(output, "ommand not found") || has(output, ": not found"))
    return "It calls a command that is not on its PATH. Write the command's full path, or set PATH in the program's "
           "env.";
  return {};
}

}  // namespace

std::string likely_mend(const Failure& failure) {
  const FirstLine line = first_line_of(failure.script);
  if (!failure.started) return mend_start(failure, line);
  if (line.windows_line_end &&
      (has(failure.output, "\\r") || has(failure.output, "\r") || (failure.exit && failure.exit->code == 127)))
    return mend_windows_line_end(failure.script);
  if (auto mend = mend_from_output(failure); !mend.empty()) return mend;
  if (failure.exit && failure.exit->code == 127)
    return "Its interpreter, or a command it calls, was not found on its PATH. Write full paths, or set PATH in the "
           "program's env.";
  if (failure.exit && failure.exit->signal == SIGXCPU)
    return "It used up its processor time. Raise limits.cpu of the program, or make it do less.";
  if (failure.exit && failure.exit->signal == SIGXFSZ)
    return "It wrote a file larger than limits.file_size of the program.";
  if (failure.exit && failure.exit->signal == SIGKILL)
    return "Something killed it: perhaps the machine or limits.memory ran out.";
  if (failure.exit && failure.exit->signal && *failure.exit->signal != SIGTERM)
    return "It crashed. Run it by hand with the same variables and input, under a debugger or with a core file "
           "(limits.core).";
  if (has(failure.message, "response head") || has(failure.message, "without any output"))
    return "A CGI program prints header fields first, then an empty line, then its document: \"Content-Type: "
           "text/plain\", \"\", ...";
  return {};
}

}  // namespace fivefold::models::cgi
