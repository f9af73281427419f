#include "serve/router.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "base/text.h"

namespace fivefold::serve {
namespace {

struct TextHash {
  using is_transparent = void;
  std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
using RouteList = std::vector<std::uint32_t>;  // indices, ascending
using ListByText = std::unordered_map<std::string, RouteList, TextHash, std::equal_to<>>;

// Patterns of one host: looked up by the whole path, by each of its folders, by the suffix of each of its segments.
struct PathIndex {
  ListByText exact;
  ListByText prefix;  // "/cgi-bin/" for "/cgi-bin/*"
  ListByText suffix;  // ".php" for "*.php"
};

struct Candidate {
  std::uint32_t route;
  std::uint32_t prefix_length;
};

void collect(const ListByText& lists, std::string_view key, std::size_t prefix_length,
             std::vector<std::pair<const RouteList*, std::size_t>>& found) {
  if (const auto list = lists.find(key); list != lists.end()) found.emplace_back(&list->second, prefix_length);
}

// Every list of `index` that may hold a route for `path`.
void collect(const PathIndex& index, std::string_view path,
             std::vector<std::pair<const RouteList*, std::size_t>>& found) {
  if (!index.exact.empty()) collect(index.exact, path, path.size(), found);
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '/') continue;
    if (!index.prefix.empty()) collect(index.prefix, path.substr(0, i + 1), i + 1, found);
    if (index.suffix.empty() || i + 1 == path.size()) continue;
    const auto segment = path.substr(i + 1, path.find('/', i + 1) - (i + 1));
    for (auto dot = segment.find('.'); dot != std::string_view::npos; dot = segment.find('.', dot + 1))
      collect(index.suffix, segment.substr(dot), 1, found);
  }
}

}  // namespace

struct Router::Index {
  PathIndex any_host;
  std::unordered_map<std::string, PathIndex, TextHash, std::equal_to<>> hosts;      // "example.org"
  std::unordered_map<std::string, PathIndex, TextHash, std::equal_to<>> wildcards;  // "example.org" for "*.example.org"
  std::vector<std::vector<std::string>> methods;                                    // by route; empty: all
};

Router::Router(const std::vector<config::Route>& routes) {
  auto index = std::make_shared<Index>();
  for (std::uint32_t number = 0; number < routes.size(); ++number) {
    const auto& route = routes[number];
    index->methods.push_back(route.methods);
    const auto add = [&](PathIndex& paths) {
      if (route.path.starts_with('*'))
        paths.suffix[route.path.substr(1)].push_back(number);
      else if (route.path.ends_with('*'))
        paths.prefix[route.path.substr(0, route.path.size() - 1)].push_back(number);
      else
        paths.exact[route.path].push_back(number);
    };
    if (route.hosts.empty()) add(index->any_host);
    for (const auto& host : route.hosts) {
      if (host.starts_with("*."))
        add(index->wildcards[host.substr(2)]);
      else
        add(index->hosts[host]);
    }
  }
  index_ = std::move(index);
}

std::optional<RouteMatch> Router::match(std::string_view host, std::string_view path, http::Method method,
                                        std::string_view method_text, std::string& allowed) const {
  static thread_local std::vector<std::pair<const RouteList*, std::size_t>> lists;
  lists.clear();
  collect(index_->any_host, path, lists);
  if (!index_->hosts.empty() || !index_->wildcards.empty()) {
    const std::string name = to_lower(host);
    if (const auto found = index_->hosts.find(name); found != index_->hosts.end()) collect(found->second, path, lists);
    if (!index_->wildcards.empty())
      for (auto dot = name.find('.'); dot != std::string::npos; dot = name.find('.', dot + 1))
        if (const auto found = index_->wildcards.find(std::string_view(name).substr(dot + 1));
            found != index_->wildcards.end())
          collect(found->second, path, lists);
  }
  // The lists are ascending: the first route of all is the least head of a list whose methods fit.
  std::vector<std::string_view> allow;
  std::uint32_t after = 0;
  while (true) {
    Candidate best{std::numeric_limits<std::uint32_t>::max(), 0};
    for (const auto& [list, prefix_length] : lists) {
      const auto next = std::lower_bound(list->begin(), list->end(), after);
      if (next != list->end() && *next < best.route) best = {*next, static_cast<std::uint32_t>(prefix_length)};
    }
    if (best.route == std::numeric_limits<std::uint32_t>::max()) break;
    const auto& methods = index_->methods[best.route];
    if (methods.empty()) return RouteMatch{best.route, best.prefix_length};
    for (const auto& name : methods) {
      // A route for GET answers HEAD too.
      if (name == method_text || (method == http::Method::head && name == "GET"))
        return RouteMatch{best.route, best.prefix_length};
      if (std::find(allow.begin(), allow.end(), name) == allow.end()) allow.push_back(name);
    }
    after = best.route + 1;
  }
  allowed.clear();
  for (const auto name : allow) {
    if (!allowed.empty()) allowed += ", ";
    allowed += name;
    if (name == "GET" && std::find(allow.begin(), allow.end(), "HEAD") == allow.end()) allowed += ", HEAD";
  }
  return std::nullopt;
}

}  // namespace fivefold::serve
