#include "models/app/launch_plan.h"

#include <unistd.h>

#include <algorithm>

#include "config/app_command.h"
#include "gateway/cgi_environment.h"

namespace fivefold::models::app {
namespace {

using config::AppKind;

bool mentions(const std::vector<std::string>& words, std::string_view placeholder) {
  return std::ranges::any_of(words, [&](const auto& word) { return config::has_placeholder(word, placeholder); });
}

// The variables in the order they are first set; a later value of a name wins.
class Variables {
 public:
  void set(std::string_view name, std::string_view value) {
    for (auto& [known, old] : list_)
      if (known == name) {
        old = value;
        return;
      }
    list_.emplace_back(name, value);
  }
  void set_if_absent(std::string_view name, std::string_view value) {
    if (!get(name)) list_.emplace_back(name, value);
  }
  const std::string* get(std::string_view name) const {
    for (const auto& [known, value] : list_)
      if (known == name) return &value;
    return nullptr;
  }
  process::StringBlock block() const {
    process::StringBlock block;
    for (const auto& [name, value] : list_) block.add(name, value);
    return block;
  }

 private:
  std::vector<std::pair<std::string, std::string>> list_;
};

// The name a context has from its WAR's name, as in Tomcat: "ROOT" is "/", "shop" is "/shop", "a#b" is "/a/b".
std::string context_path(const std::string& war, bool only_one) {
  if (only_one) return "/";
  auto end = war.size();
  while (end > 1 && war[end - 1] == '/') --end;
  auto name = war.substr(0, end);
  name = name.substr(name.rfind('/') + 1);
  if (name.ends_with(".war")) name.resize(name.size() - 4);
  if (name == "ROOT") return "/";
  std::ranges::replace(name, '#', '/');
  return "/" + name;
}

std::vector<std::string> servlet_command(const config::App& app, const LaunchSurroundings& surroundings) {
  // The container's own jars stand in the launcher's manifest.
  std::vector<std::string> command{
      "java", "-cp", surroundings.workers + "/java/launcher.jar", "fivefold.Launcher", "--socket", "{socket}"};
  for (const auto& war : app.servlet) {
    command.emplace_back("--context");
    command.push_back(context_path(war, app.servlet.size() == 1) + "=" + war);
  }
  return command;
}

std::string find_executable(const std::string& name, const std::string& root, std::string_view search_path) {
  if (name.starts_with('/')) return name;
  if (name.find('/') != std::string::npos) return root + "/" + name;
  while (!search_path.empty()) {
    const auto colon = search_path.find(':');
    const auto folder = search_path.substr(0, colon);
    std::string candidate =
        (folder.starts_with('/') ? std::string(folder) : root + "/" + std::string(folder)) + "/" + name;
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    if (colon == std::string_view::npos) break;
    search_path.remove_prefix(colon + 1);
  }
  return "/usr/bin/" + name;  // starting it will say that it is not there
}

// A word of NODE_OPTIONS: Node takes it apart at spaces, but for what is in double quotes, where a backslash makes the
// next byte stand for itself.
std::string node_option(const std::string& word) {
  if (word.find_first_of(" \"") == std::string::npos) return word;
  std::string quoted = "\"";
  for (const char c : word) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

std::string shown(const std::string& word) {
  const bool plain = !word.empty() && word.find_first_of(" \t\n'\"$\\`*?;&|<>(){}") == std::string::npos;
  return plain ? word : "'" + word + "'";
}

}  // namespace

LaunchPlan plan_launch(const config::Program& program, const std::string& root, const InstancePlace& place,
                       const LaunchSurroundings& surroundings) {
  const config::App& app = program.app;
  LaunchPlan plan;
  plan.root = root;

  Variables variables;
  variables.set("PATH", gateway::kDefaultSearchPath);
  variables.set("LANG", "C.UTF-8");
  variables.set("HOME", surroundings.home);
  variables.set("USER", surroundings.user_name);
  variables.set("LOGNAME", surroundings.user_name);
  for (const auto& [name, value] : program.env) variables.set(name, value);
  const auto port = std::to_string(place.port);
  variables.set("PORT", port);
  variables.set_if_absent("HOST", "127.0.0.1");
  variables.set("FIVEFOLD_PROGRAM", program.name);
  variables.set("FIVEFOLD_INSTANCE", std::to_string(place.id));
  variables.set("FIVEFOLD_SOCKET", place.socket());
  variables.set("FIVEFOLD_READY_FILE", place.ready_file());
  if (app.ready == config::Ready::notify) {
    variables.set("FIVEFOLD_READY", "notify");
    variables.set("NOTIFY_SOCKET", place.notify_socket());
  }
  if (app.private_tmp) variables.set("TMPDIR", place.temporary_folder());
  if (app.kind == AppKind::node) {
    const auto* given = variables.get("NODE_OPTIONS");
    const auto preload = "--require " + node_option(surroundings.workers + "/node/preload.cjs");
    variables.set("NODE_OPTIONS", given ? preload + " " + *given : preload);
    variables.set_if_absent("NODE_ENV", "production");
  }
  if (app.socket_activation) {
    variables.set("LISTEN_FDS", "1");
    variables.set("LISTEN_FDNAMES", "http");
    plan.spawn.listen_pid = true;
  }

  auto command = app.kind == AppKind::servlet ? servlet_command(app, surroundings) : app.command;
  const bool names_socket = mentions(command, "socket") || app.socket_activation;
  const bool names_port = mentions(command, "port");
  plan.may_use_socket = names_socket || !names_port;
  plan.may_use_port = names_port || !names_socket;
  const config::Placeholders values{.socket = place.socket(), .port = port, .host = "127.0.0.1", .root = root};
  for (auto& word : command) word = config::fill_placeholders(word, values);

  plan.spawn.directory = program.working_directory.empty() ? root : program.working_directory;
  if (plan.spawn.directory.empty()) plan.spawn.directory = "/";
  plan.spawn.executable = find_executable(command.front(), plan.spawn.directory, *variables.get("PATH"));
  for (const auto& word : command) {
    plan.spawn.arguments.add(word);
    plan.command_line += (plan.command_line.empty() ? "" : " ") + shown(word);
  }
  plan.spawn.environment = variables.block();
  // A socket that the application makes itself is its user's; the folder it lies in keeps strangers out.
  plan.spawn.umask = 0002;
  return plan;
}

std::string fingerprint_of(const config::Program& program, const std::string& root, const std::string& folder) {
  const auto& app = program.app;
  std::uint64_t hash = 14695981039346656037ull;  // FNV-1a: stable between server processes and versions
  const auto take = [&hash](std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ull;
    hash = (hash ^ 0x100) * 1099511628211ull;
  };
  const auto take_number = [&take](std::uint64_t number) { take(std::to_string(number)); };
  take(root);
  take(folder);
  take_number(static_cast<std::uint64_t>(app.kind));
  take_number(static_cast<std::uint64_t>(app.protocol));
  take_number(static_cast<std::uint64_t>(app.ready));
  take_number((app.socket_activation ? 1u : 0u) + (app.private_tmp ? 2u : 0u) + (app.tls_verify ? 4u : 0u));
  for (const auto* list : {&app.command, &app.servlet, &app.address}) {
    take_number(list->size());
    for (const auto& word : *list) take(word);
  }
  take_number(program.env.size());
  for (const auto& [name, value] : program.env) {
    take(name);
    take(value);
  }
  for (const auto* text : {&program.user, &program.group, &program.working_directory, &app.health_path, &app.tls_ca,
                           &app.tls_name, &app.tls_certificate, &app.tls_key})
    take(*text);
  const auto& limits = program.limits;
  for (const auto number :
       {limits.memory, limits.cpu_seconds, limits.files, limits.processes, limits.file_size, limits.core})
    take_number(number);
  take_number(static_cast<std::uint64_t>(app.keep_alive.count()));
  take_number(static_cast<std::uint64_t>(app.connect_timeout.count()));
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (int shift = 60; shift >= 0; shift -= 4) text.push_back(kDigits[(hash >> shift) & 15]);
  return text;
}

}  // namespace fivefold::models::app
