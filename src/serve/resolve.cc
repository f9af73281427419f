#include "serve/resolve.h"

#include "base/text.h"
#include "http/target.h"

namespace fivefold::serve {
namespace {

constexpr std::string_view kServerMethods = "GET, HEAD, POST, PUT, DELETE, PATCH, OPTIONS";

// [[route]] redirect: "{rest}", "{path}", "{host}" and "{query}" filled in. What comes from the request is
// percent-encoded.
std::string redirect_target(const config::Redirect& redirect, const http::Head& head,
                            const exchange::Exchange& exchange, std::string_view path) {
  std::string target;
  for (std::size_t i = 0; i < redirect.to.size();) {
    const std::string_view rest = std::string_view(redirect.to).substr(i);
    const auto take = [&](std::string_view name, const std::string& value) {
      if (!rest.starts_with(name)) return false;
      target += value;
      i += name.size();
      return true;
    };
    if (take("{rest}", percent_encode_path(exchange.route_rest)) || take("{path}", percent_encode_path(path)) ||
        take("{host}", std::string(head.host_field)) ||
        take("{query}", head.has_query ? "?" + std::string(head.query) : std::string()))
      continue;
    target += redirect.to[i++];
  }
  // "//host" from a path that begins with a slash would leave the site.
  if (target.starts_with("//") && !redirect.to.starts_with("//")) target.erase(0, target.find_first_not_of('/') - 1);
  return target;
}

// The route of a path with encoded slashes, whichever way its program reads them: as parts of a name and as separators
// it is the same one, so that no rule for one reading is passed by with the other. Nothing where that is not so, or
// where the path is not passed on as it is written. Fills `path` with the path of the second reading.
[[gnu::cold]] std::optional<RouteMatch> match_encoded_slashes(const Site& site, const http::Head& head,
                                                              std::string& path) {
  std::string as_name, as_separator, allowed;
  if (!http::read_encoded_slashes(head.raw_path, as_name, as_separator)) return std::nullopt;
  const auto one = site.router().match(head.host, as_name, head.method, head.method_text, allowed);
  const auto other = site.router().match(head.host, as_separator, head.method, head.method_text, allowed);
  if (!one || !other || one->route != other->route || !site.takes_encoded_slashes(one->route)) return std::nullopt;
  path = std::move(as_separator);
  return other;
}

bool has_lower_case(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

exchange::Response redirect_to(int status, std::string_view location) {
  exchange::Response response;
  response.status = status;
  response.headers.add("Location", location);
  return response;
}

}  // namespace

Result<Resolution> resolve(const Site& site, const http::Head& head, std::string& path, exchange::Exchange& exchange) {
  if (head.method == http::Method::trace || head.method == http::Method::connect)
    return fail(Code::method_not_allowed, std::string(head.method_text) + " is not allowed here",
                std::string(kServerMethods));
  if (head.form == http::TargetForm::asterisk) {
    Resolution resolution;
    resolution.ready.emplace();
    resolution.ready->status = 204;
    resolution.ready->headers.add("Allow", kServerMethods);
    return resolution;
  }
  std::string allowed;
  std::optional<RouteMatch> match;
  if (auto normal = http::normalize_path(head.raw_path, path); normal) {
    match = site.router().match(head.host, path, head.method, head.method_text, allowed);
  } else {
    if (normal.error().code == Code::not_found) match = match_encoded_slashes(site, head, path);
    if (!match) return std::unexpected(std::move(normal.error()));
  }
  if (!match) {
    if (!allowed.empty()) {
      if (head.method == http::Method::other)
        return fail(Code::not_implemented, "the method " + printable(head.method_text) + " is not implemented");
      return fail(Code::method_not_allowed, "the method " + printable(head.method_text) + " is not allowed here",
                  allowed);
    }
    // "/app" where only "/app/*" is routed: the folder was meant.
    if (!path.ends_with('/') && (head.method == http::Method::get || head.method == http::Method::head) &&
        site.router().match(head.host, path + "/", head.method, head.method_text, allowed)) {
      Resolution resolution;
      resolution.ready = redirect_to(
          301, percent_encode_path(path) + "/" + (head.has_query ? "?" + std::string(head.query) : std::string()));
      return resolution;
    }
    return fail(Code::not_found, "there is nothing at this address");
  }

  const std::string_view whole = path;
  exchange.route_prefix = whole.substr(0, match->prefix_length);
  exchange.route_rest = whole.substr(match->prefix_length);
  Resolution resolution;
  resolution.route = &site.route(match->route);
  switch (resolution.route->action) {
    case config::Action::redirect:
      resolution.ready = redirect_to(resolution.route->redirect.status,
                                     redirect_target(resolution.route->redirect, head, exchange, path));
      break;
    default:
      resolution.handler = &site.handler(match->route);
      break;
  }
  // A program may know methods that we do not (WebDAV's); but "get" is nobody's method.
  const bool unknown = head.method == http::Method::other;
  if (resolution.handler && unknown &&
      (resolution.route->action != config::Action::run || has_lower_case(head.method_text)))
    return fail(Code::not_implemented, "the method " + printable(head.method_text) + " is not implemented");
  return resolution;
}

}  // namespace fivefold::serve
