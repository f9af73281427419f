#include "config/path_pattern.h"

#include <algorithm>
#include <unordered_map>

#include "base/text.h"
#include "http/authority.h"

namespace fivefold::config {
namespace {

bool is_hex(char c) { return is_digit(c) || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'f'); }

bool has_escape(std::string_view text) {
  for (std::size_t i = 0; i + 2 < text.size(); ++i)
    if (text[i] == '%' && is_hex(text[i + 1]) && is_hex(text[i + 2])) return true;
  return false;
}

bool is_suffix(std::string_view pattern) { return pattern.starts_with('*'); }
bool is_prefix(std::string_view pattern) { return pattern.ends_with("/*"); }

// Calls each(suffix) for ".tar.gz", ".gz" of every segment in `path`.
template <class Each>
void for_each_suffix(std::string_view path, Each&& each) {
  for (std::size_t begin = 0; begin < path.size();) {
    const auto end = path.find('/', begin);
    const auto segment = path.substr(begin, end == std::string_view::npos ? end : end - begin);
    for (auto dot = segment.find('.'); dot != std::string_view::npos; dot = segment.find('.', dot + 1))
      each(segment.substr(dot));
    if (end == std::string_view::npos) return;
    begin = end + 1;
  }
}

}  // namespace

Complaint check_path_pattern(std::string_view pattern) {
  if (pattern.empty()) return {"a path is missing", "write \"/*\" for every path, or leave the key out"};
  for (const char c : pattern)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return {"a path cannot have control characters"};
  if (pattern.find_first_of("?#") != std::string_view::npos)
    return {"the query and the fragment are not part of the path", "leave out ? and # and what follows"};
  if (has_escape(pattern))
    return {"patterns meet the path after its %XX are decoded", "write the characters themselves"};
  if (pattern.starts_with('*')) {
    const auto suffix = pattern.substr(1);
    if (suffix.empty()) return {"a lone * is no pattern", "write \"/*\" for every path"};
    if (!suffix.starts_with('.') || suffix.size() < 2)
      return {"what follows the * must be a suffix that begins with a dot", "write \"*.php\""};
    if (suffix.find_first_of("*/") != std::string_view::npos)
      return {"a suffix has neither * nor /", "write \"*.php\", or \"/folder/*\""};
    return {};
  }
  if (!pattern.starts_with('/'))
    return {"a path begins with /", "write \"/" + printable(pattern) + "\", or \"*.suffix\""};
  const auto star = pattern.find('*');
  if (star != std::string_view::npos) {
    if (star + 1 != pattern.size())
      return {"a * may stand at the end after a /, or at the beginning before a suffix",
              "write \"/folder/*\" or \"*.php\""};
    if (pattern[star - 1] != '/')
      return {"a * at the end must follow a /", "write \"" + printable(pattern.substr(0, star)) + "/*\""};
  }
  if (pattern.find("//") != std::string_view::npos)
    return {"paths are compared after // has become /, so this can never match", "write a single /"};
  const std::string closed = std::string(pattern) + "/";
  if (closed.find("/./") != std::string::npos || closed.find("/../") != std::string::npos)
    return {"paths are compared after . and .. are resolved, so this can never match", "write the resolved path"};
  return {};
}

Complaint check_host_pattern(std::string_view pattern) {
  if (pattern == "*") return {"a lone * is no host", "leave the key out for every host"};
  auto name = pattern;
  if (name.starts_with("*.")) name.remove_prefix(2);
  if (name.find('*') != std::string_view::npos)
    return {"a * may stand for the first labels only", "write \"*.example.org\""};
  if (name.find("://") != std::string_view::npos) return {"a host has no scheme", "write the name alone"};
  if (name.find_first_of("/?#") != std::string_view::npos)
    return {"a host has no path", "write the name alone, and the path in 'path'"};
  for (const char c : name)
    if (static_cast<unsigned char>(c) >= 0x80)
      return {"names are compared as they go over the wire", "write the name in its xn-- form"};
  const auto authority = http::parse_authority(name);
  if (!authority) return {"not a host name"};
  if (authority->port || name.ends_with(':')) return {"routes are chosen by name, not by port", "leave out the port"};
  return {};
}

bool covers_path(std::string_view wide, std::string_view narrow) {
  if (wide == "/*" || wide == narrow) return true;
  if (is_suffix(wide)) {
    const auto suffix = wide.substr(1);
    if (is_suffix(narrow)) return narrow.ends_with(suffix);
    bool found = false;
    const auto literal = is_prefix(narrow) ? narrow.substr(0, narrow.size() - 1) : narrow;
    for_each_suffix(literal, [&](std::string_view one) { found = found || one == suffix; });
    return found;
  }
  if (is_suffix(narrow) || !is_prefix(wide)) return false;
  return narrow.starts_with(wide.substr(0, wide.size() - 1));
}

bool covers_host(std::string_view wide, std::string_view narrow) {
  if (wide == narrow) return true;
  return wide.starts_with("*.") && narrow.ends_with(wide.substr(1));
}

bool covers(const Route& wide, const Route& narrow) {
  if (!covers_path(wide.path, narrow.path)) return false;
  if (!wide.hosts.empty()) {
    if (narrow.hosts.empty()) return false;
    for (const auto& host : narrow.hosts)
      if (std::ranges::none_of(wide.hosts, [&](const auto& other) { return covers_host(other, host); })) return false;
  }
  if (wide.methods.empty()) return true;
  if (narrow.methods.empty()) return false;
  const auto takes = [&](std::string_view method) {
    return std::ranges::find(wide.methods, method) != wide.methods.end();
  };
  for (const auto& method : narrow.methods) {
    // A route for GET takes HEAD as well.
    if (!takes(method) && !(method == "HEAD" && takes("GET"))) return false;
  }
  return true;
}

void check_reachable(const std::vector<Route>& routes, Faults& faults) {
  std::unordered_map<std::string, std::vector<std::size_t>> earlier;  // by pattern
  for (std::size_t number = 0; number < routes.size(); ++number) {
    const Route& route = routes[number];
    std::size_t first = routes.size();
    const auto consider = [&](std::string_view pattern) {
      const auto found = earlier.find(std::string(pattern));
      if (found == earlier.end()) return;
      for (const auto candidate : found->second) {
        if (candidate >= first) return;
        if (covers(routes[candidate], route)) first = candidate;
      }
    };
    // Every pattern that could cover this one.
    consider(route.path);
    if (route.path != "/*") consider("/*");
    const std::string_view path = route.path;
    if (is_suffix(path)) {
      for_each_suffix(path.substr(1), [&](std::string_view suffix) { consider("*" + std::string(suffix)); });
    } else {
      const auto literal = is_prefix(path) ? path.substr(0, path.size() - 1) : path;
      for (std::size_t i = 1; i < literal.size(); ++i)
        if (literal[i] == '/') consider(std::string(literal.substr(0, i + 1)) + "*");
      for_each_suffix(literal, [&](std::string_view suffix) { consider("*" + std::string(suffix)); });
    }
    if (first < routes.size()) {
      const auto line = std::to_string(routes[first].position.line);
      faults.warning({route.position.line, route.position.column},
                     "this route (" + printable(route.path) + ") can never match: the route in line " + line + " (" +
                         printable(routes[first].path) + ") takes everything first",
                     "move it above line " + line + ", or remove it");
    }
    earlier[route.path].push_back(number);
  }
}

}  // namespace fivefold::config
