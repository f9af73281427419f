// What the keys of an application tell only together.
#include <algorithm>
#include <array>
#include <set>

#include "base/text.h"
#include "config/app_section.h"

namespace fivefold::config {
namespace {

using Keys = std::initializer_list<std::string_view>;

class AppCheck {
 public:
  AppCheck(const Node& table, const Program& program, Context& context)
      : table_(table), app_(program.app), faults_(context.faults), name_("program '" + printable(program.name) + "'") {}

  void run() {
    if (!one_source()) return;
    if (app_.kind == AppKind::address) somebody_elses();
    if (app_.kind == AppKind::servlet) servlet();
    protocol();
    tls();
    private_tmp();
  }

 private:
  void refuse(Keys keys, const std::string& message, const std::string& mend) {
    for (const auto key : keys)
      if (const Entry* entry = table_.find(key))
        faults_.error(entry->at, "'" + std::string(key) + "' " + message, mend);
  }

  // Exactly one says what answers. What is to be judged further must be sound.
  bool one_source() {
    constexpr std::array<std::string_view, 3> kSources = {"command", "servlet", "address"};
    std::vector<const Entry*> found;
    for (const auto& entry : table_.entries)
      if (std::ranges::find(kSources, std::string_view(entry.key)) != kSources.end()) found.push_back(&entry);
    for (std::size_t i = 1; i < found.size(); ++i)
      faults_.error(found[i]->at,
                    name_ + " has both '" + found[0]->key + "' and '" + found[i]->key + "', but one thing answers",
                    "keep one, or make two programs");
    if (found.empty())
      faults_.error(
          table_.at, name_ + " has none of 'command', 'wsgi', 'asgi', 'psgi', 'servlet' and 'address'",
          "add command = [\"node\", \"server.js\"] for what the server shall start, wsgi = \"shop:application\" or "
          "asgi = \"shop:app\" for a Python application, servlet = \"shop.war\" for a Java application, or address = "
          "\"127.0.0.1:9000\" for what somebody else starts");
    return found.size() == 1 && !(app_.command.empty() && app_.servlet.empty() && app_.address.empty());
  }

  // The server neither starts nor ends what answers at an address.
  void somebody_elses() {
    refuse({"instances", "socket_activation", "ready", "start_timeout", "start_retries", "stop_grace", "max_age",
            "max_memory", "on_timeout", "private_tmp", "user", "group", "working_directory", "limits", "max_requests",
            "watch"},
           "is for a process that the server starts, but somebody else starts what answers at 'address' of " + name_,
           "remove it");
    if (app_.protocol == Protocol::http || app_.protocol == Protocol::h2c) {
      refuse({"env"},
             "is for a process that the server starts, but somebody else starts what answers at 'address' of " + name_,
             "set its variables where it is started");
      refuse({"root"}, "goes with 'command' or 'servlet', but " + name_ + " has 'address'", "remove it");
    }
  }

  void servlet() {
    refuse({"socket_activation", "ready"}, "goes with 'command', but " + name_ + " has 'servlet'", "remove it");
    std::set<std::string_view> names;
    for (const auto& path : app_.servlet) {
      std::string_view name = path;
      name.remove_prefix(name.rfind('/') + 1);
      if (name.ends_with(".war")) name.remove_suffix(4);
      if (!names.insert(name).second)
        faults_.error(table_.find("servlet")->value.at,
                      "'servlet' of " + name_ + " has two that would answer under /" + printable(name),
                      "rename one, or make two programs");
    }
    if (app_.protocol != Protocol::http)
      faults_.error(table_.find("protocol")->value.at,
                    "a servlet speaks HTTP, but 'protocol' of " + name_ + " says otherwise", "remove it");
  }

  void protocol() {
    const bool http = app_.protocol == Protocol::http || app_.protocol == Protocol::h2c;
    if (app_.protocol != Protocol::fastcgi)
      refuse({"script", "extensions", "index"},
             "goes with protocol = \"fastcgi\", whose applications are told a script, but " + name_ + " has another",
             http ? "add protocol = \"fastcgi\", or remove it" : "remove it");
    if (!http)
      refuse({"tunnel_timeout"}, "goes with protocol = \"http\": nothing else can carry a WebSocket", "remove it");
    if (app_.protocol == Protocol::fastcgi && app_.root.empty()) {
      for (const std::string_view key : {"script", "extensions", "index"}) {
        const Entry* entry = table_.find(key);
        if (!entry) continue;
        faults_.error(entry->at, name_ + " has '" + std::string(key) + "', but no 'root' where its scripts are",
                      "add root = \"/srv/app\"");
        break;
      }
    }
  }

  void tls() {
    const bool tls = std::ranges::any_of(app_.address, [](const auto& text) { return text.starts_with("https://"); });
    if (!tls)
      refuse({"tls"}, "goes with an address that begins with https://, but " + name_ + " has none", "remove it");
    if (tls && app_.protocol != Protocol::http)
      faults_.error(
          table_.find("protocol")->value.at,
          "an address that begins with https:// is spoken to in HTTP, but 'protocol' of " + name_ + " says otherwise",
          "remove it, or write the address without https://");
  }

  void private_tmp() {
    const Entry* env = table_.find("env");
    if (!app_.private_tmp || !env || !env->value.is(Node::Kind::table)) return;
    if (const Entry* folder = env->value.find("TMPDIR"))
      faults_.error(folder->at, name_ + " has both 'private_tmp' and a TMPDIR in its env", "keep one of them");
  }

  const Node& table_;
  const App& app_;
  Faults& faults_;
  std::string name_;
};

}  // namespace

void check_app(const Node& table, const Program& program, Context& context) { AppCheck(table, program, context).run(); }

}  // namespace fivefold::config
