#include "models/app/start_diagnosis.h"

#include <unistd.h>

#include <array>

namespace fivefold::models::app {
namespace {

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

// What stands between two marks behind `mark`: the X of "Cannot find module 'X'".
std::string quoted_after(std::string_view text, std::string_view mark, char close = '\'') {
  const auto at = text.rfind(mark);
  if (at == std::string_view::npos) return {};
  auto rest = text.substr(at + mark.size());
  rest = rest.substr(0, rest.find_first_of(std::string("\n") + close));
  return std::string(rest.substr(0, 120));
}

std::string node_module_mend(const FailedStart& failure) {
  const auto name = quoted_after(failure.output, "Cannot find module '");
  const auto package = name.empty() ? quoted_after(failure.output, "Cannot find package '") : name;
  if (package.empty()) return {};
  if (package.starts_with('/') || package.starts_with('.'))
    return "The file " + package + " is not there: is the command right, and has the application been built?";
  const bool installed = ::access((failure.root + "/node_modules").c_str(), F_OK) == 0;
  return installed ? "Add the package: npm install " + package + " in " + failure.root + "."
                   : "Its packages are not installed: run npm install in " + failure.root + ".";
}

struct Hint {
  std::string_view sign;
  std::string_view mend;
};
constexpr std::array<Hint, 14> kHints = {{
    {"EADDRINUSE",
     "The port it wants is taken by another process: let it listen on the PORT of its environment, or on {socket}."},
    {"Address already in use", "The port it wants is taken by another process: let it listen on {port} or {socket}."},
    {"EACCES", "It may not open or listen on something: look at the path or port in its output, and at its `user`."},
    {"Permission denied", "It may not open something: look at the path in its output, and at its `user`."},
    {"ERR_REQUIRE_ESM", "It loads an ES module with require(): use import, or a newer Node.js."},
    {"Cannot use import statement outside a module",
     "Its package.json needs \"type\": \"module\", or the file the ending .mjs."},
    {"Unsupported engine", "It wants another version of Node.js: see \"engines\" in its package.json."},
    {"UnsupportedClassVersionError", "It was compiled for a newer Java than the one that runs it."},
    {"SyntaxError",
     "It has a syntax error, or was written for a newer version of its language; the output names the line."},
    {"IndentationError", "It has a syntax error; the output names the line."},
    {"Could not find gem", "Its gems are not installed: run bundle install in its folder."},
    {"Could not import module",
     "The module named in the command is not there: is the name right, and the working directory?"},
    {"OutOfMemoryError", "It has no memory left: raise `limits.memory`, or give it less to hold (-Xmx for Java)."},
    {"ENOMEM", "The machine, or its `limits`, have no memory left for it."},
}};

std::string by_output(const FailedStart& failure) {
  if (auto mend = node_module_mend(failure); !mend.empty()) return mend;
  if (has(failure.output, "ModuleNotFoundError: No module named '")) {
    const auto name = quoted_after(failure.output, "No module named '");
    return "Install the Python package that has the module " + name +
           " (in the virtual environment of its command), or correct the name.";
  }
  if (has(failure.output, "cannot load such file -- "))
    return "Install the gem that has " + quoted_after(failure.output, "cannot load such file -- ", ' ') +
           ": bundle install in its folder.";
  if (has(failure.output, "Can't locate "))
    return "Install the Perl module that its output names (apt install lib...-perl, or cpanm).";
  for (const auto& hint : kHints)
    if (has(failure.output, hint.sign)) return std::string(hint.mend);
  return {};
}

}  // namespace

std::string likely_mend(const FailedStart& failure) {
  const auto& app = failure.program.app;
  if (has(failure.message, "No such file or directory") && !failure.exit && !failure.timed_out) {
    const auto command = app.kind == config::AppKind::servlet ? std::string("java")
                         : app.command.empty()                ? std::string()
                                                              : app.command.front();
    return command.empty()
               ? std::string()
               : "Install " + command + ", or write its whole path in `command`; `fivefold check` says more.";
  }
  if (auto mend = by_output(failure); !mend.empty()) return mend;
  if (failure.exit && failure.exit->code == 127) return "A command in it was not found: look at PATH in `env`.";
  if (failure.exit && failure.exit->code == 126) return "A command in it may not be executed: chmod +x.";
  if (failure.exit && failure.exit->signal == 9)
    return "Something killed it: the memory limit or the machine's own shortage of memory, most likely.";
  if (failure.exit && failure.exit->code == 0)
    return "It ended by itself: a server stays in the foreground. Take away --daemon and the like, and do not start it "
           "in "
           "the background.";
  if (failure.exit) return {};
  if (failure.timed_out && app.ready == config::Ready::notify)
    return "It never said that it is ready: READY=1 to NOTIFY_SOCKET, process.send('ready'), or the file "
           "FIVEFOLD_READY_FILE. Or take away ready = \"notify\".";
  if (failure.timed_out && app.kind == config::AppKind::node)
    return "It runs, but never called listen(). Does it wait for a database? A longer start_timeout gives it more "
           "time.";
  if (failure.timed_out)
    return "It runs, but does not listen where it was told: let it listen on {socket} or {port} in its command, or on "
           "the "
           "PORT of its environment; or raise start_timeout.";
  return {};
}

}  // namespace fivefold::models::app
