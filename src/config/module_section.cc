#include "config/module_section.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "config/file_name_checks.h"
#include "config/instances_section.h"
#include "config/symlinks_key.h"

namespace fivefold::config {
namespace {

constexpr std::uint32_t kMostFailures = 1000;
constexpr std::uint64_t kMostHead = 1024 * 1024;  // one frame of a channel to a worker
constexpr std::uint64_t kMostBodyMemory = 1ull << 30;
constexpr std::uint64_t kLeastBuffer = 64 * 1024;
constexpr std::uint64_t kLeastMemory = 1024 * 1024;  // of a worker: below it a number was meant in another unit
constexpr milliseconds kLeastAge = 1s;
constexpr milliseconds kLeastSlow = 10ms;
constexpr milliseconds kLongestGrace = 1h;
constexpr std::uint64_t kMostMessage = 1ull << 30;
constexpr std::uint32_t kMostThreads = 256;
constexpr std::uint32_t kMostAtOnce = 100'000;

// That only ASGI applications have a use for.
constexpr std::array<std::string_view, 6> kAsgiKeys = {
    "loop", "lifespan", "tunnel_timeout", "websocket_max_size", "websocket_ping_interval", "websocket_ping_timeout"};

Complaint check_try(std::string_view text) {
  if (text == "=404" || text == "{path}" || text == "{path}/") return {};
  if (text.starts_with('/') && text.ends_with("{path}")) text.remove_suffix(6);
  if (!text.starts_with('/') || !is_beneath(text.substr(1)) || text.find('{') != std::string_view::npos)
    return {"there are \"{path}\", \"{path}/\" and files beneath root, such as \"/index.php\""};
  return {};
}

Complaint check_beneath(std::string_view path) {
  if (!is_beneath(path)) return {"no path beneath root", "write it from there, such as \"uploads\""};
  return {};
}

Complaint check_wsgi(std::string_view text) {
  const auto colon = text.find(':');
  const auto is_name = [](std::string_view name) {
    return !name.empty() && name.find_first_of(" /\\:") == std::string_view::npos && !name.starts_with('.') &&
           !name.ends_with('.') && !name.ends_with(".py");
  };
  const auto object = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  const auto call = object.find('(');  // of a factory: make_app('production')
  const bool called = call != std::string_view::npos && object.ends_with(')');
  if (colon == std::string_view::npos || !is_name(text.substr(0, colon)) ||
      !is_name(called ? object.substr(0, call) : object))
    return {"not \"module:callable\"", "write \"shop:application\" for application in shop.py"};
  return {};
}

// A setting of php.ini: "memory_limit", "opcache.enable".
bool is_ini_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](char c) {
    return c == '_' || c == '.' || c == '-' || is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
  });
}

void read_ini(TableReader& reader, std::string_view key, std::vector<std::pair<std::string, std::string>>& settings) {
  const Entry* table = reader.take_table(key, "table of name and value");
  if (!table) return;
  Faults& faults = reader.context().faults;
  for (const auto& entry : table->value.entries) {
    const auto name = "'" + printable(entry.key) + "' in " + std::string(key) + " of " + reader.title();
    const Node& value = entry.value;
    if (!is_ini_name(entry.key))
      faults.error(entry.at, name + " is not the name of a setting", "write it as php.ini does, such as memory_limit");
    else if (value.is(Node::Kind::string) && value.text.find_first_of("\r\n") != std::string::npos)
      faults.error(value.at, name + " has a line feed in its value");
    else if (value.is(Node::Kind::string))
      settings.emplace_back(entry.key, value.text);
    else if (value.is(Node::Kind::integer))
      settings.emplace_back(entry.key, std::to_string(value.integer));
    else if (value.is(Node::Kind::boolean))
      settings.emplace_back(entry.key, value.boolean ? "1" : "0");
    else if (value.is(Node::Kind::table))
      faults.error(value.at, name + " is a table", "write \"" + printable(entry.key) + ".NAME\" in quotation marks");
    else
      faults.error(value.at, name + " must be a string, a whole number, true or false");
  }
}

void read_websockets(TableReader& reader, Module& module) {
  Faults& faults = reader.context().faults;
  reader.size("websocket_max_size", module.websocket_max_size);
  if (module.websocket_max_size == 0 || module.websocket_max_size > kMostMessage)
    faults.error(reader.table().find("websocket_max_size")->value.at,
                 reader.name("websocket_max_size") + " is not between 1 byte and 1GB",
                 "write the longest message that the application shall get, as in \"16MB\"");
  for (const auto& [key, field] : {std::pair("websocket_ping_interval", &module.websocket_ping_interval),
                                   std::pair("websocket_ping_timeout", &module.websocket_ping_timeout)}) {
    reader.duration(key, *field, kNoTime);
    if (*field % std::chrono::seconds(1) != kNoTime)
      faults.error(reader.table().find(key)->value.at, reader.name(key) + " is not a number of whole seconds",
                   "write \"20s\", or \"0s\" for none");
  }
}

// Python loads its application, and nothing else, before its workers are forked; or not.
void read_preload_of_python(TableReader& reader, Module& module) {
  std::string word = "yes";
  reader.text("preload", word, [](std::string_view text) -> Complaint {
    if (text == "yes" || text == "no") return {};
    return {"neither \"yes\" nor \"no\"", "\"no\" loads the application in each worker instead of once before them"};
  });
  if (word == "no") module.preload = {word};
}

void read_times(TableReader& reader, Module& module) {
  const Node& table = reader.table();
  Faults& faults = reader.context().faults;
  reader.duration("start_timeout", module.start_timeout);
  reader.number("start_retries", module.start_retries, {1, kMostFailures});
  reader.duration("timeout_grace", module.timeout_grace);
  reader.duration("drain", module.drain, kNoTime);
  reader.duration("stop_grace", module.stop_grace, kNoTime);
  if (module.stop_grace > kLongestGrace)
    faults.error(table.find("stop_grace")->value.at, reader.name("stop_grace") + " is over an hour",
                 "write \"1h\" or less");
  reader.duration("slow_log", module.slow_log, kNoTime);
  if (module.slow_log != kNoTime && module.slow_log < kLeastSlow)
    faults.error(table.find("slow_log")->value.at,
                 reader.name("slow_log") + " is less than 10ms: every request would be slow",
                 "write \"2s\", or \"0s\" for none");
  reader.duration("max_age", module.max_age, kNoTime);
  if (module.max_age != kNoTime && module.max_age < kLeastAge)
    faults.error(table.find("max_age")->value.at,
                 reader.name("max_age") + " is less than a second: no worker would serve",
                 "write \"12h\", or \"0s\" for never");
  reader.size("max_memory", module.max_memory);
  if (module.max_memory != 0 && module.max_memory < kLeastMemory)
    faults.error(table.find("max_memory")->value.at,
                 reader.name("max_memory") + " is less than 1MB: no worker would live",
                 "write the unit, as in \"256MB\"");
}

// Of the keys that go with one of Python's two interfaces alone.
void check_python(const Node& table, const std::string& name, Faults& faults) {
  const Entry* wsgi = table.find("wsgi");
  const Entry* asgi = table.find("asgi");
  if (wsgi && asgi)
    return faults.error(std::max(wsgi->at, asgi->at), name + " has both 'wsgi' and 'asgi', but one thing answers",
                        "keep one, or make two programs");
  if (!wsgi && !asgi)
    return faults.error(table.at, name + " has neither 'wsgi' nor 'asgi'",
                        "add wsgi = \"shop:application\" for the callable application in shop.py, or asgi = "
                        "\"shop:app\" for an ASGI application");
  const auto refuse = [&](std::string_view key, std::string_view other, std::string_view instead) {
    if (const Entry* entry = table.find(key))
      faults.error(entry->at,
                   "'" + std::string(key) + "' goes with '" + std::string(other) + "', but " + name + " has '" +
                       (wsgi ? "wsgi" : "asgi") + "'",
                   instead.empty()
                       ? "remove it"
                       : "write " + std::string(instead) + " = " +
                             (entry->value.is(Node::Kind::integer) ? std::to_string(entry->value.integer) : "4"));
  };
  if (wsgi) {
    refuse("concurrency", "asgi", "threads");
    for (const auto key : kAsgiKeys) refuse(key, "asgi", "");
  } else {
    refuse("threads", "wsgi", "concurrency");
    refuse("buffer", "wsgi", "");
  }
}

}  // namespace

bool is_beneath(std::string_view path) {
  while (path.starts_with("./")) path.remove_prefix(2);
  return !path.empty() && !path.starts_with('/') && path != ".." && !path.starts_with("../") &&
         !path.ends_with("/..") && path.find("/../") == std::string_view::npos &&
         path.find('\0') == std::string_view::npos;
}

std::string_view name_of(Language language) {
  switch (language) {
    case Language::php:
      return "php";
    case Language::perl:
      return "perl";
    case Language::python:
      return "python";
  }
  return "";
}

std::string_view written_name(Language language) {
  switch (language) {
    case Language::php:
      return "PHP";
    case Language::perl:
      return "Perl";
    case Language::python:
      return "Python";
  }
  return "";
}

std::uint32_t requests_at_once(const Module& module) {
  return module.asgi.empty() ? module.threads : module.concurrency;
}

const Entry* interface_of(const Node& table) {
  for (const std::string_view key : {"wsgi", "asgi", "psgi"})
    if (const Entry* entry = table.find(key)) return entry;
  return nullptr;
}

void read_module(TableReader& reader, Module& module, bool describe) {
  const std::string& directory = reader.context().directory;
  reader.choice("language", module.language,
                {{"php", Language::php}, {"perl", Language::perl}, {"python", Language::python}});
  reader.has_no_default();
  // An interface that one language has tells it.
  if (const Node& table = reader.table(); !table.find("language")) {
    if (table.find("psgi")) module.language = Language::perl;
    if (table.find("wsgi") || table.find("asgi")) module.language = Language::python;
  }
  reader.path("root", module.root);
  if (module.root.empty() && !describe && module.language == Language::python) module.root = directory;
  const std::string& base = module.root.empty() ? directory : module.root;
  const auto from_root = [&base](std::string& path) {
    if (!path.empty()) path = absolute_path(path, base);
  };
  reader.text("script", module.script, check_path);
  from_root(module.script);
  reader.text("psgi", module.psgi, check_path);
  from_root(module.psgi);
  reader.text("wsgi", module.wsgi, check_wsgi);
  reader.text("asgi", module.asgi, check_wsgi);
  reader.number("threads", module.threads, {1, kMostThreads});
  reader.number("concurrency", module.concurrency, {1, kMostAtOnce});
  reader.choice("loop", module.loop,
                {{"auto", PythonLoop::any}, {"uvloop", PythonLoop::uvloop}, {"asyncio", PythonLoop::asyncio}});
  reader.choice("lifespan", module.lifespan,
                {{"auto", Lifespan::where_known}, {"on", Lifespan::on}, {"off", Lifespan::off}});
  reader.duration("tunnel_timeout", module.tunnel_timeout);
  read_websockets(reader, module);
  // A body that is streamed holds up nobody else where a worker has many requests at once.
  if (reader.table().find("asgi")) module.request_buffering = RequestBuffering::off;
  module.try_given = reader.table().find("try") != nullptr;
  reader.texts("try", module.try_files, check_try);
  reader.texts("index", module.index, check_index);
  reader.texts("extensions", module.extensions, check_extension);
  reader.boolean("files", module.files);
  reader.boolean("listing", module.listing);
  read_symlinks(reader, module.symlinks);
  reader.texts("no_scripts", module.no_scripts, check_beneath);
  for (auto& folder : module.no_scripts) {
    while (folder.starts_with("./")) folder.erase(0, 2);
    while (folder.ends_with('/')) folder.pop_back();
  }
  read_ini(reader, "ini", module.ini);
  read_ini(reader, "ini_admin", module.ini_admin);
  if (module.language != Language::python) reader.texts("preload", module.preload, check_path);
  // Perl's may be the name of a module: My::Library.
  for (auto& file : module.preload)
    if (module.language == Language::php || file.find_first_of("/.") != std::string::npos) from_root(file);
  if (module.language == Language::python) read_preload_of_python(reader, module);
  reader.text("worker", module.worker, check_beneath);
  from_root(module.worker);
  reader.texts("path", module.path, check_path);
  for (auto& folder : module.path) from_root(folder);
  reader.text("venv", module.venv, check_path);
  from_root(module.venv);
  read_instances(reader, module.min_instances, module.max_instances, module.instance_idle_timeout);
  read_times(reader, module);
  bool buffering = module.request_buffering != RequestBuffering::off;
  reader.boolean("request_buffering", buffering);
  module.request_buffering = buffering ? RequestBuffering::memory_then_disk : RequestBuffering::off;
  reader.size("body_memory", module.body_memory, {0, kMostBodyMemory});
  reader.size("buffer", module.buffer, {kLeastBuffer, kMostBodyMemory});
  reader.size("output_head", module.output_head, {64, kMostHead});
  reader.boolean("pass_authorization", module.pass_authorization);
  reader.path("xsendfile_root", module.xsendfile_root);
}

void check_module(const Node& table, const Program& program, Context& context) {
  Faults& faults = context.faults;
  const auto name = "program '" + printable(program.name) + "'";
  const Module& module = program.module;
  if (!table.find("language") && !interface_of(table))
    return faults.error(table.at, name + " has no 'language'",
                        "write language = \"php\", language = \"perl\" or language = \"python\"");
  using Keys = std::initializer_list<std::string_view>;
  const auto belong = [&](Keys keys, std::initializer_list<Language> languages) {
    if (std::ranges::find(languages, module.language) != languages.end()) return;
    for (const auto key : keys)
      if (const Entry* entry = table.find(key))
        faults.error(entry->at,
                     "'" + std::string(key) + "' goes with " + std::string(written_name(*languages.begin())) +
                         ", but the language of " + name + " is " + std::string(written_name(module.language)),
                     "remove it");
  };
  belong({"try", "index", "files", "listing", "symlinks", "no_scripts", "ini", "ini_admin", "worker"}, {Language::php});
  belong({"extensions"}, {Language::php, Language::perl});
  belong({"script", "psgi"}, {Language::perl});
  belong({"path"}, {Language::python, Language::perl});
  belong({"wsgi", "asgi", "venv", "threads", "concurrency"}, {Language::python});
  for (const auto key : kAsgiKeys) belong({key}, {Language::python});
  const Entry* root = table.find("root");
  switch (module.language) {
    case Language::php:
      if (!root) faults.error(table.at, name + " has no 'root'", "add root = \"www\", the folder of its scripts");
      if (module.preload.size() > 1)
        faults.error(table.find("preload")->value.at, "'preload' of " + name + " has more than one file",
                     "PHP preloads one; let it load the others");
      break;
    case Language::perl: {
      const Entry* script = table.find("script");
      const Entry* psgi = table.find("psgi");
      if (script && psgi)
        faults.error(std::max(script->at, psgi->at), name + " has both 'script' and 'psgi', but one thing answers",
                     "keep one, or make two programs");
      if (!root && !script && !psgi)
        faults.error(table.at, name + " has none of 'root', 'script' and 'psgi'",
                     "add root = \"cgi-bin\" for a folder of CGI scripts, or psgi = \"app.psgi\"");
      if ((script || psgi) && table.find("extensions"))
        faults.error(
            table.find("extensions")->at,
            "'extensions' goes with a folder of scripts, but " + name + " has '" + (script ? "script" : "psgi") + "'",
            "remove it");
      break;
    }
    case Language::python:
      check_python(table, name, faults);
      break;
  }
}

const std::vector<std::string_view>& module_keys() {
  static const std::vector<std::string_view> keys = {"language",
                                                     "root",
                                                     "script",
                                                     "psgi",
                                                     "wsgi",
                                                     "asgi",
                                                     "threads",
                                                     "concurrency",
                                                     "loop",
                                                     "lifespan",
                                                     "tunnel_timeout",
                                                     "websocket_max_size",
                                                     "websocket_ping_interval",
                                                     "websocket_ping_timeout",
                                                     "try",
                                                     "index",
                                                     "extensions",
                                                     "files",
                                                     "listing",
                                                     "symlinks",
                                                     "no_scripts",
                                                     "ini",
                                                     "ini_admin",
                                                     "preload",
                                                     "worker",
                                                     "path",
                                                     "venv",
                                                     "instances",
                                                     "start_timeout",
                                                     "start_retries",
                                                     "timeout_grace",
                                                     "drain",
                                                     "stop_grace",
                                                     "max_age",
                                                     "max_memory",
                                                     "request_buffering",
                                                     "body_memory",
                                                     "buffer",
                                                     "output_head",
                                                     "pass_authorization",
                                                     "xsendfile_root",
                                                     "slow_log"};
  return keys;
}

}  // namespace fivefold::config
