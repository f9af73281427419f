#include "config/program_section.h"

#include <algorithm>
#include <array>

#include "base/text.h"
#include "config/app_section.h"
#include "config/cgi_section.h"
#include "config/module_section.h"

namespace fivefold::config {
namespace {

constexpr std::uint64_t kMostCount = 1'000'000'000;

const Node& empty_table() {
  static const Node table;
  return table;
}

struct ForeignKey {
  std::string_view key;
  std::string_view model;
};
// Keys of the models that this build does not run: known names, so that they are not taken for misspelt ones.
constexpr std::array<ForeignKey, 3> kForeignKeys = {
    {{"runtime", "function"}, {"handler", "function"}, {"memory", "function"}}};

struct ModelKeys {
  std::string model;
  const std::vector<std::string_view>& keys;
};

// What to say of keys that other models have.
std::vector<std::pair<std::string_view, std::string>> foreign_keys(std::initializer_list<ModelKeys> others) {
  std::vector<std::pair<std::string_view, std::string>> foreign;
  for (const auto& [model, keys] : others)
    for (const auto key : keys)
      foreign.emplace_back(key, "'" + std::string(key) + "' goes with the model '" + model +
                                    "'; remove it, or write model = \"" + model + "\"");
  for (const auto& [key, other] : kForeignKeys)
    foreign.emplace_back(key, "'" + std::string(key) + "' goes with the model '" + std::string(other) +
                                  "', which is not part of this build yet; remove it");
  return foreign;
}

// An application in the server's own workers: the same as in the model "module", one word changed.
void read_interface_app(TableReader& reader, Program& program, Context& context) {
  const Node& table = reader.table();
  const std::string interface = interface_of(table)->key;
  program.model = Model::module;
  program.module.application = true;
  read_module(reader, program.module);
  check_module(table, program, context);
  for (const std::string_view key : {"command", "servlet", "address"})
    if (const Entry* entry = table.find(key)) {
      reader.take(key, "");
      context.faults.error(std::max(entry->at, interface_of(table)->at),
                           "program '" + printable(program.name) + "' has both '" + interface + "' and '" +
                               std::string(key) + "', but one thing answers",
                           "keep one, or make two programs");
    }
  std::vector<std::pair<std::string_view, std::string>> foreign;
  for (const auto key : app_keys())
    foreign.emplace_back(key, "'" + std::string(key) + "' goes with an application that listens by itself, but '" +
                                  interface + "' runs in the server's own workers; remove it");
  for (const auto key : cgi_keys())
    foreign.emplace_back(key, "'" + std::string(key) + "' goes with the model 'cgi'; remove it");
  reader.finish(foreign);
}

Complaint check_account(std::string_view text) {
  const bool good = !text.empty() && text.size() <= 64 && !text.starts_with('-') &&
                    text.find_first_of(": /\t\n") == std::string_view::npos;
  if (!good) return {"not a name of a user or group"};
  return {};
}

bool is_variable_name(std::string_view name) {
  if (name.empty() || is_digit(name.front())) return false;
  return std::ranges::all_of(
      name, [](char c) { return c == '_' || is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z'); });
}

// Who may not set a variable is who computes it: of a process for each request the request's, of an application where
// it is to listen. One that is told its requests in another process gets no variable of theirs from the server.
bool is_servers(const std::string& name, const Node& table) {
  const Entry* model = table.find("model");
  if (!model || model->value.text != "app" || interface_of(table)) return is_computed_variable(name);
  return table.find("address") ? is_computed_variable(name) : is_given_variable(name);
}

void read_env(TableReader& reader, Program& program) {
  const Entry* env = reader.take_table("env", "table of name and value");
  if (!env) return;
  Faults& faults = reader.context().faults;
  for (const auto& entry : env->value.entries) {
    const auto name = "'" + printable(entry.key) + "' in env of " + reader.title();
    if (!is_variable_name(entry.key)) {
      faults.error(entry.at, name + " is not the name of a variable",
                   "letters, digits and _ make one, a digit does not begin it");
    } else if (is_servers(entry.key, reader.table())) {
      const std::string mend = entry.key == "PORT" ? "remove it: the application finds a free port in PORT, and {port} "
                                                     "of its command is the same"
                               : entry.key == "HTTP_PROXY"
                                   ? "write http_proxy or HTTPS_PROXY if the program's own requests shall take a proxy"
                                   : "remove it, or give it another name";
      faults.error(entry.at, entry.key + " is computed by the server: env of " + reader.title() + " cannot set it",
                   mend);
    } else if (!entry.value.is(Node::Kind::string)) {
      std::string mend;
      if (entry.value.is(Node::Kind::integer))
        mend = "write " + entry.key + " = \"" + std::to_string(entry.value.integer) + "\"";
      if (entry.value.is(Node::Kind::boolean))
        mend = "write " + entry.key + " = \"" + (entry.value.boolean ? "true" : "false") + "\"";
      faults.error(entry.value.at, name + " must be a string, but is " + std::string(kind_text(entry.value.kind)),
                   mend);
    } else {
      program.env.emplace_back(entry.key, entry.value.text);
    }
  }
}

void read_limits(TableReader& parent, ProcessLimits& limits, std::vector<SectionKeys>* describe) {
  const Entry* entry = parent.take_table("limits", "table", "see below");
  if (!entry && !describe) return;
  TableReader reader(entry ? entry->value : empty_table(), "limits of " + parent.title(), "limits", parent.context());
  reader.size("memory", limits.memory);
  milliseconds cpu{limits.cpu_seconds * 1000};
  reader.duration("cpu", cpu, kNoTime);
  if (cpu.count() % 1000 != 0)
    parent.context().faults.error(entry->value.find("cpu")->value.at, reader.name("cpu") + " must be whole seconds",
                                  "write \"1s\" or more");
  limits.cpu_seconds = static_cast<std::uint64_t>(cpu.count() / 1000);
  reader.number("files", limits.files, {0, kMostCount});
  reader.number("processes", limits.processes, {0, kMostCount});
  reader.size("file_size", limits.file_size);
  reader.size("core", limits.core);
  reader.finish();
  // Below this not even an interpreter starts: the number was meant in another unit.
  constexpr std::uint64_t kLeastMemory = 1024 * 1024;
  constexpr std::uint64_t kLeastFiles = 8;
  if (limits.memory != 0 && limits.memory < kLeastMemory)
    parent.context().faults.error(entry->value.find("memory")->value.at,
                                  reader.name("memory") + " is less than 1MB: no program would start",
                                  "write the unit, as in \"128MB\"");
  if (limits.files != 0 && limits.files < kLeastFiles)
    parent.context().faults.error(entry->value.find("files")->value.at,
                                  reader.name("files") + " is less than 8: no program would start",
                                  "leave it out for 1024");
  if (describe) describe->push_back({"limits of [program.NAME]", reader.keys()});
}

Model read_model(TableReader& reader, const std::string& name, bool describe) {
  Faults& faults = reader.context().faults;
  Model model = Model::cgi;
  const Entry* entry = reader.table().find("model");
  reader.choice("model", model,
                {{"cgi", Model::cgi}, {"module", Model::module}, {"app", Model::app}, {"function", Model::function}});
  reader.has_no_default();
  if (!entry) {
    const Node& table = reader.table();
    const bool application = table.find("command") || table.find("servlet") || table.find("address");
    if (application) model = Model::app;
    const bool interpreted = table.find("language") || interface_of(table);
    if (interpreted) model = Model::module;
    if (!describe)
      faults.error(table.at, "program '" + name + "' has no model",
                   interpreted ? "add model = \"module\""
                   : application
                       ? "add model = \"app\""
                       : "add model = \"cgi\" for a process for each request, or model = \"app\" for one that stays");
  } else if (model == Model::function) {
    faults.error(
        entry->value.at,
        "model '" + entry->value.text + "' of program '" + name +
            "' is not part of this build yet; this version runs 'cgi', a process for each request, 'module', an "
            "interpreter in the server's own workers, and 'app', a process that stays and serves many",
        "write model = \"cgi\" if the program can be executed, model = \"app\" if it listens, or wait for a "
        "version that has '" +
            entry->value.text + "'");
  }
  return model;
}

}  // namespace

bool is_program_name(std::string_view name) {
  if (name.empty() || name.size() > kLongestProgramName || name.front() == '.' || name.front() == '-') return false;
  return std::ranges::all_of(name, [](char c) {
    return c == '_' || c == '-' || c == '.' || is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
  });
}

bool is_computed_variable(std::string_view name) {
  constexpr std::array<std::string_view, 28> kComputed = {
      "AUTH_TYPE",       "CONTENT_LENGTH",  "CONTENT_TYPE",    "DOCUMENT_ROOT",  "GATEWAY_INTERFACE", "HTTPS",
      "PATH_INFO",       "PATH_TRANSLATED", "QUERY_STRING",    "REMOTE_ADDR",    "REMOTE_HOST",       "REMOTE_IDENT",
      "REMOTE_PORT",     "REMOTE_USER",     "REQUEST_ID",      "REQUEST_METHOD", "REQUEST_SCHEME",    "REQUEST_URI",
      "SCRIPT_FILENAME", "SCRIPT_NAME",     "SCRIPT_URI",      "SCRIPT_URL",     "SERVER_ADDR",       "SERVER_NAME",
      "SERVER_PORT",     "SERVER_PROTOCOL", "SERVER_SOFTWARE", "UNIQUE_ID"};
  return name.starts_with("HTTP_") || name.starts_with("REDIRECT_") || name == "TRACEPARENT" ||
         std::ranges::find(kComputed, name) != kComputed.end();
}

Program read_program(const Node& table, const std::string& name, Mark at, Context& context,
                     std::vector<SectionKeys>* describe) {
  Program program;
  program.name = name;
  program.position = context.faults.position(at);
  if (!describe && !is_program_name(name))
    context.faults.error(at, quoted(name) + " cannot name a program",
                         "letters, digits, '-', '_' and '.' make a name of at most 64, and '.' or '-' do not begin it");
  TableReader reader(table, "[program." + printable(name) + "]", "program." + name, context);
  program.model = read_model(reader, printable(name), describe != nullptr);
  read_env(reader, program);
  reader.text("user", program.user, check_account);
  reader.text("group", program.group, check_account);
  reader.path("working_directory", program.working_directory);
  reader.duration("timeout", program.timeout);
  reader.number("queue", program.queue, {0, 1'000'000});
  reader.duration("queue_timeout", program.queue_timeout, kNoTime);
  std::vector<SectionKeys> parts;
  read_limits(reader, program.limits, describe ? &parts : nullptr);
  reader.number("max_requests", program.max_requests, {0, kMostCount});
  reader.texts("watch", program.watch, check_path);
  for (auto& watched : program.watch) watched = absolute_path(watched, context.directory);
  const std::size_t common = reader.keys().size();

  if (program.model == Model::cgi) {
    read_cgi(reader, program.cgi);
    if (!describe) check_cgi(table, program, context);
    reader.finish(foreign_keys({{"app", app_keys()}, {"module", module_keys()}}));
  } else if (program.model == Model::app && interface_of(table)) {
    read_interface_app(reader, program, context);
  } else if (program.model == Model::app) {
    read_app(reader, program.working_directory, program.app);
    check_app(table, program, context);
    reader.finish(foreign_keys({{"cgi", cgi_keys()}, {"module", module_keys()}}));
  } else if (program.model == Model::module) {
    read_module(reader, program.module);
    check_module(table, program, context);
    reader.finish(foreign_keys({{"app", app_keys()}, {"cgi", cgi_keys()}}));
  } else {
    // The model's own keys cannot be judged here; only a name that no model has is a fault of its own.
    for (const auto& [key, model] : kForeignKeys) reader.take(key, "");
    for (const auto key : cgi_keys()) reader.take(key, "");
    for (const auto key : app_keys()) reader.take(key, "");
    for (const auto key : module_keys()) reader.take(key, "");
    reader.finish();
  }
  if (describe) {
    const auto middle = reader.keys().begin() + static_cast<std::ptrdiff_t>(common);
    describe->push_back({"[program.NAME]", {reader.keys().begin(), middle}});
    describe->insert(describe->end(), parts.begin(), parts.end());
    describe->push_back({"[program.NAME] with model = \"cgi\"", {middle, reader.keys().end()}});
    std::vector<SectionKeys> tables;
    TableReader application(table, "[program.NAME]", "program.NAME", context);
    read_app(application, {}, program.app, &tables);
    describe->push_back({"[program.NAME] with model = \"app\"", application.keys()});
    describe->insert(describe->end(), tables.begin(), tables.end());
    TableReader module(table, "[program.NAME]", "program.NAME", context);
    read_module(module, program.module, true);
    describe->push_back({"[program.NAME] with model = \"module\"", module.keys()});
  }
  return program;
}

}  // namespace fivefold::config
