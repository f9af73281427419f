#include "interpreter.h"

#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <fstream>

#include "asgi_loop_source.h"
#include "channel/zygote.h"
#include "loader_source.h"
#include "time_limit.h"

// Exported, and declared in no header for programs that embed Python.
extern "C" const char* _Py_DumpTracebackThreads(int, PyInterpreterState*, PyThreadState*);

namespace fivefold::python {
namespace {

constexpr std::string_view kSettings[] = {"interface",
                                          "wsgi",
                                          "asgi",
                                          "path",
                                          "venv",
                                          "preload",
                                          "threads",
                                          "loop",
                                          "lifespan",
                                          "websocket_max_size",
                                          "websocket_ping_interval",
                                          "websocket_ping_timeout",
                                          "websocket_close_timeout"};
constexpr std::int64_t kMostMessage = 1 << 30;  // bytes
constexpr std::int64_t kMostSeconds = 24 * 60 * 60;
constexpr const char* kSystemPython = "/usr/bin/python3";

std::string text_of(PyStatus status) {
  return std::string("Python could not be started: ") + (status.err_msg != nullptr ? status.err_msg : "unknown error");
}

std::unexpected<std::string> failed() {
  const Failure failure = take_failure();
  return std::unexpected(failure.traceback + "The application could not be loaded: " + failure.summary);
}

// A module whose source travels in the executable.
Ref own_module(const char* name, const char* source) {
  const Ref code = Ref::take(Py_CompileString(source, name, Py_file_input));
  return code ? Ref::take(PyImport_ExecCodeModule(name, code.get())) : Ref();
}

// Takes a setting that is a whole number; nothing when it is left out.
std::expected<void, std::string> take_number(const worker::Settings& settings, const char* name, auto& number,
                                             std::int64_t least, std::int64_t most, std::int64_t scale) {
  if (!settings.has(name)) return {};
  const auto text = settings.one(name);
  std::int64_t value = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size() || value < least || value > most)
    return std::unexpected(std::string(name) + "=" + text + " must be a whole number from " + std::to_string(least) +
                           " to " + std::to_string(most) + ".");
  number = static_cast<std::remove_reference_t<decltype(number)>>(value * scale);
  return {};
}

// "3.11" of the version in DIR/pyvenv.cfg; empty when it is not there.
std::string version_of_environment(const std::string& folder) {
  std::ifstream file(folder + "/pyvenv.cfg");
  for (std::string line; std::getline(file, line);) {
    const auto equals = line.find('=');
    if (equals == std::string::npos || !line.starts_with("version")) continue;
    auto version = line.substr(line.find_first_not_of(" \t", equals + 1));
    const auto minor = version.find('.');
    return version.substr(0, version.find('.', minor + 1));
  }
  return {};
}

}  // namespace

std::span<const std::string_view> Python::settings() const { return kSettings; }

std::string Python::version() {
  const std::string whole = Py_GetVersion();
  return "Python " + whole.substr(0, whole.find(' '));
}

std::expected<void, std::string> Python::start(const worker::Settings& settings) {
  settings_ = &settings;
  preload_ = settings.one("preload", "yes") != "no";
  interface_ = settings.one("interface", settings.has("asgi") ? "asgi" : "wsgi");
  if (interface_ != "wsgi" && interface_ != "asgi")
    return std::unexpected("interface=" + interface_ + " is not known to this executable; it knows wsgi and asgi.");
  const auto lifespan = settings.one("lifespan", "auto");
  if (lifespan != "auto" && lifespan != "on" && lifespan != "off")
    return std::unexpected("lifespan=" + lifespan + " is not known; it is auto, on or off.");
  if (!settings.has(interface_)) return std::unexpected("Which application? Say " + interface_ + "=module:callable.");
  auto taken = take_number(settings, "websocket_max_size", websocket_.max_size, 1, kMostMessage, 1);
  if (taken)
    taken = take_number(settings, "websocket_ping_interval", websocket_.ping_interval_ms, 0, kMostSeconds, 1000);
  if (taken) taken = take_number(settings, "websocket_ping_timeout", websocket_.ping_timeout_ms, 0, kMostSeconds, 1000);
  if (taken)
    taken = take_number(settings, "websocket_close_timeout", websocket_.close_timeout_ms, 1, kMostSeconds, 1000);
  if (taken) taken = take_number(settings, "threads", threads_, 1, WsgiThreads::kMost, 1);
  if (!taken) return taken;
  if (const auto root = settings.one("root"); !root.empty() && chdir(root.c_str()) != 0)
    return std::unexpected("The program's folder " + root + " cannot be entered: " + std::strerror(errno));
  if (auto started = start_interpreter(); !started) return started;
  if (!prepare_failures() || !TimeLimit::prepare()) return failed();
  return preload_ ? load() : std::expected<void, std::string>();
}

std::expected<void, std::string> Python::start_interpreter() {
  std::string executable = kSystemPython;
  if (const auto venv = settings_->one("venv"); !venv.empty()) {
    executable = venv + "/bin/python3";
    if (access((venv + "/pyvenv.cfg").c_str(), R_OK) != 0)
      return std::unexpected("venv=" + venv + " is no virtual environment: it has no pyvenv.cfg.");
    const std::string own = std::to_string(PY_MAJOR_VERSION) + "." + std::to_string(PY_MINOR_VERSION);
    if (const auto made_for = version_of_environment(venv); !made_for.empty() && made_for != own)
      return std::unexpected("The virtual environment " + venv + " was made for Python " + made_for +
                             ", and this server embeds Python " + own + ". Make it again with python" + own +
                             " -m venv, or run the program as model = \"app\".");
  }
  PyConfig config;
  PyConfig_InitPythonConfig(&config);
  config.install_signal_handlers = 0;
  config.parse_argv = 0;
  config.buffered_stdio = 0;  // what an application prints is in the log at once
  config.faulthandler = 1;    // a crash tells where Python was
  PyStatus status = PyConfig_SetBytesString(&config, &config.program_name, executable.c_str());
  if (PyStatus_Exception(status) == 0)
    status = PyConfig_SetBytesString(&config, &config.executable, executable.c_str());
  if (PyStatus_Exception(status) == 0) {
    wchar_t name[] = L"fivefold";
    wchar_t* arguments[] = {name};
    status = PyConfig_SetArgv(&config, 1, arguments);
  }
  if (PyStatus_Exception(status) == 0) status = Py_InitializeFromConfig(&config);
  PyConfig_Clear(&config);
  if (PyStatus_Exception(status) != 0) return std::unexpected(text_of(status));
  return {};
}

// Null with an exception set, which is loader.py's NotFound when the settings are at fault.
Ref Python::find_application() {
  const Ref folders = Ref::take(PyList_New(0));
  for (const auto& folder : settings_->all("path")) {
    const Ref text = Ref::take(PyUnicode_DecodeFSDefault(folder.c_str()));
    if (!folders || !text || PyList_Append(folders.get(), text.get()) != 0) return {};
  }
  const Ref prepared = Ref::take(PyObject_CallMethod(loader_.get(), "prepare", "sO", ".", folders.get()));
  if (!prepared) return {};
  const auto spec = settings_->one(interface_);
  const char* name = interface_ == "asgi" ? "app" : "application";
  Ref application = Ref::take(PyObject_CallMethod(loader_.get(), "load", "ss", spec.c_str(), name));
  if (!application) return {};
  const auto check = "check_" + interface_;
  const Ref checked =
      Ref::take(PyObject_CallMethod(loader_.get(), check.c_str(), "Os", application.get(), spec.c_str()));
  return checked ? std::move(application) : Ref();
}

bool Python::prepare(PyObject* application) {
  if (interface_ == "wsgi") {
    wsgi_ = Wsgi::prepare() ? Wsgi::make(application, Wsgi::Threads::one) : nullptr;
    return wsgi_ != nullptr;
  }
  const Ref loop = own_module("fivefold_asgi_loop", kAsgiLoopSource);
  const auto kind = settings_->one("loop", "auto");
  const auto lifespan = settings_->one("lifespan", "auto");
  const Ref chosen =
      loop ? Ref::take(PyObject_CallMethod(loop.get(), "choose", "ss", kind.c_str(), lifespan.c_str())) : Ref();
  asgi_ = chosen ? Asgi::prepare(application, loop.get()) : nullptr;
  if (asgi_) asgi_->websocket_limits() = websocket_;
  return asgi_ != nullptr;
}

std::expected<void, std::string> Python::load() {
  loader_ = own_module("fivefold_loader", kLoaderSource);
  const Ref not_found = loader_ ? Ref::take(PyObject_GetAttrString(loader_.get(), "NotFound")) : Ref();
  if (!not_found) return failed();
  const Ref application = find_application();
  if (!application && PyErr_ExceptionMatches(not_found.get()) != 0)
    return std::unexpected(take_failure().message + ".");
  if (!application || !prepare(application.get())) return failed();
  const Ref threads = Ref::take(PyObject_CallMethod(loader_.get(), "settle", nullptr));
  if (!threads) return failed();
  if (preload_ && PyList_GET_SIZE(threads.get()) > 0)
    std::fprintf(stderr,
                 "The application started %zd threads while it was loaded (%s); they do not live on in the workers. "
                 "preload = false loads it in each worker instead.\n",
                 PyList_GET_SIZE(threads.get()), to_text(threads.get()).c_str());
  return {};
}

void Python::before_fork() { PyOS_BeforeFork(); }
void Python::after_fork_in_zygote() { PyOS_AfterFork_Parent(); }

// As the faulthandler module does from its watchdog thread: without the GIL, of every thread.
void Python::show_stack() {
  std::string first = "The script of pid " + std::to_string(getpid()) + " is at\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, first.data(), first.size());
  _Py_DumpTracebackThreads(STDERR_FILENO, PyInterpreterState_Main(), nullptr);
}

void Python::after_fork_in_worker() {
  PyOS_AfterFork_Child();
  if (!TimeLimit::start()) std::perror("timer_create for the time limit of requests");
}

void Python::work(worker::Channels& channels) {
  if (!wsgi_ && !asgi_) {
    if (const auto loaded = load(); !loaded) {
      std::fprintf(stderr, "%s\n", loaded.error().c_str());
      _exit(worker::kExitStart);
    }
  }
  if (wsgi_ && threads_ == 1) return serve_one_by_one(channels);
  if (wsgi_) return serve_in_threads(channels);
  if (!asgi_->run(channels)) _exit(worker::kExitStart);
}

void Python::serve_one_by_one(worker::Channels& channels) {
  bool leaving = false;
  while (!leaving) {
    worker::Request* request = nullptr;
    {
      const Unlocked unlocked;
      request = channels.next();
    }
    if (request == nullptr) return;
    const auto outcome = serve(*request);
    if (channels.forked()) _exit(0);
    const Unlocked unlocked;
    channels.complete(outcome);
    leaving = outcome.leave;
  }
}

void Python::serve_in_threads(worker::Channels& channels) {
  WsgiThreads threads(wsgi_->application(), channels, threads_);
  if (threads.run()) return;
  std::fprintf(stderr, "%sThe worker's threads could not be started.\n", take_failure().traceback.c_str());
  _exit(worker::kExitStart);
}

worker::Outcome Python::serve(worker::Request& request) { return wsgi_->serve(request); }

// What the application has registered with atexit runs, as at the end of any Python program.
void Python::leave() { Py_FinalizeEx(); }

}  // namespace fivefold::python
