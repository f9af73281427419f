#include "serve/error_page.h"

#include "base/text.h"
#include "http/status.h"
#include "serve/error_status.h"

namespace fivefold::serve {
namespace {

constexpr std::string_view kStyle =
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:12vh auto;padding:0 "
    "1.5rem;color:#222;background:#fff}"
    "h1{font-size:1.5rem;font-weight:600}code,pre{font:13px/1.5 "
    "ui-monospace,monospace}pre{background:#f4f4f2;padding:1rem;overflow:auto}"
    "footer{color:#777;font-size:.85rem;margin-top:2rem}table{border-collapse:collapse}td{padding:.1rem 1rem .1rem "
    "0;vertical-align:top}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#191919}pre{background:#262626}}";

enum class Form : std::uint8_t { html, json, text };

// What the client would rather read; a browser and anybody who does not say get the page.
Form form_for(const http::Head* head) {
  if (!head) return Form::html;
  const auto accept = head->field("accept");
  if (!accept || accept->find("text/html") != std::string_view::npos) return Form::html;
  if (accept->find("application/json") != std::string_view::npos) return Form::json;
  if (accept->find("text/plain") != std::string_view::npos) return Form::text;
  return Form::html;
}

std::string json_escape(std::string_view text) {
  std::string escaped;
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      escaped += '\\';
      escaped += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      escaped += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      escaped += c;
    }
  }
  return escaped;
}

std::string page(int status, std::string_view reason, std::string_view message, std::string_view story,
                 std::string_view id) {
  std::string html = fmt::format(
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
      "content=\"width=device-width\">"
      "<title>{0} {1}</title><style>{2}</style></head><body><h1>{0} {1}</h1>",
      status, html_escape(reason), kStyle);
  if (!message.empty()) html += fmt::format("<p>{}</p>", html_escape(message));
  html += story;
  if (status >= 500) html += fmt::format("<footer>Request <code>{}</code></footer>", id);
  html += "</body></html>\n";
  return html;
}

}  // namespace

exchange::Response error_response(const Error& error, const exchange::Exchange& exchange, const Site& site,
                                  const http::Head* head) {
  return error_response(status_of(error.code), error, exchange, site, head);
}

exchange::Response error_response(int status, const Error& error, const exchange::Exchange& exchange, const Site& site,
                                  const http::Head* head) {
  exchange::Response response;
  response.status = status;
  if (status == 405) response.headers.add("Allow", error.detail);
  if (status == 416) response.headers.add("Content-Range", error.detail);
  if (status == 503) response.headers.add("Retry-After", error.detail.empty() ? "1" : error.detail);
  response.headers.add("Cache-Control", "no-store");

  if (const auto own = site.error_page(status); !own.empty()) {
    response.headers.add("Content-Type", "text/html; charset=utf-8");
    response.body = exchange::Body::text(std::string(own));
    return response;
  }
  const auto reason = http::reason_phrase(status);
  const bool tell = site.config().server.error_detail == config::ErrorDetail::page;
  // What is wrong with a request is the client's to know; what is wrong with us or a program only where the site says
  // so.
  const std::string_view message = status < 500 || tell ? std::string_view(error.message) : std::string_view();
  switch (form_for(head)) {
    case Form::json:
      response.headers.add("Content-Type", "application/json");
      response.body = exchange::Body::text(
          fmt::format("{{\"status\":{},\"error\":\"{}\",\"message\":\"{}\",\"request_id\":\"{}\"}}\n", status,
                      json_escape(reason), json_escape(message), exchange.id.text()));
      break;
    case Form::text:
      response.headers.add("Content-Type", "text/plain; charset=utf-8");
      response.body = exchange::Body::text(message.empty() ? fmt::format("{} {}\n", status, reason)
                                                           : fmt::format("{} {}: {}\n", status, reason, message));
      break;
    case Form::html:
      response.headers.add("Content-Type", "text/html; charset=utf-8");
      response.body = exchange::Body::text(
          page(status, reason, message, tell ? exchange.failure_page_html : std::string(), exchange.id.text()));
      break;
  }
  return response;
}

}  // namespace fivefold::serve
