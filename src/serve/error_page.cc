#include "serve/error_page.h"

#include "base/text.h"
#include "http/status.h"
#include "serve/error_status.h"

namespace fivefold::serve {
namespace {

// A page without anything from elsewhere.
constexpr std::string_view kStyle = R"(
:root{color-scheme:light dark;--ink:#1d2329;--soft:#5c6670;--paper:#fff;--line:#dde1e4}
@media(prefers-color-scheme:dark){:root{--ink:#e4e7ea;--soft:#9aa4ad;--paper:#16191c;--line:#343b41}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:0 auto;padding:10vh 1.5rem 3rem;color:var(--ink);
background:var(--paper);overflow-wrap:anywhere}
h1{font-size:1.5rem;font-weight:600;line-height:1.25;margin:0 0 .75rem}
p{margin:.75rem 0}
code,pre,time,dd{font:.8125rem/1.55 ui-monospace,SFMono-Regular,Menlo,monospace}
footer{color:var(--soft);font-size:.85rem;margin-top:2rem;border-top:1px solid var(--line);padding-top:.75rem}
)";

// Where the story of a failure is told: process::Journey's ol.journey, dl.facts, p.failure, p.mend and pre.output;
// tables for whoever tells it in one.
constexpr std::string_view kStoryStyle = R"(
:root{--panel:#f4f5f6;--bad:#b3261e;--good:#0b6e4f;--good-panel:#e9f6f0}
@media(prefers-color-scheme:dark){:root{--panel:#1f2428;--bad:#ff8a80;--good:#7fd8b4;--good-panel:#16302a}}
small{font-size:.875rem;color:var(--soft)}
pre{background:var(--panel);border:1px solid var(--line);border-radius:6px;padding:.9rem 1rem;margin:1rem 0;
overflow:auto;max-height:32rem;white-space:pre-wrap}
ol.journey{display:grid;grid-template-columns:max-content max-content 1fr;column-gap:1rem;list-style:none;
margin:1.5rem 0;padding:0;border-top:1px solid var(--line)}
ol.journey li{display:grid;grid-column:1/-1;grid-template-columns:subgrid;align-items:baseline;padding:.3rem 0;
border-bottom:1px solid var(--line)}
ol.journey time{color:var(--soft);text-align:right;font-variant-numeric:tabular-nums}
table{border-collapse:collapse;width:100%;margin:1.5rem 0}
th,td{text-align:left;vertical-align:top;padding:.3rem 1rem .3rem 0;border-bottom:1px solid var(--line)}
th{font-weight:600}
dl.facts{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1rem;margin:1rem 0}
dt{color:var(--soft)}dd{margin:0}
.failure{color:var(--bad)}
.mend{border-left:4px solid var(--good);background:var(--good-panel);border-radius:0 6px 6px 0;padding:.7rem 1rem}
.mend::before{content:"What to do: ";color:var(--good);font-weight:600}
pre.output::before{content:"The program's own output";display:block;font:600 .8125rem system-ui,sans-serif;
color:var(--soft);margin-bottom:.5rem}
@media(max-width:34rem){ol.journey{grid-template-columns:max-content 1fr}ol.journey small{grid-column:2}
dl.facts{grid-template-columns:1fr}}
)";

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
      "content=\"width=device-width,initial-scale=1\">"
      "<title>{0} {1}</title><style>{2}{3}</style></head><body><h1>{0} {1}</h1>",
      status, html_escape(reason), kStyle, story.empty() ? std::string_view() : kStoryStyle);
  if (message.empty() && status >= 500)
    html +=
        "<p>This request could not be answered. Whoever runs this site finds the reason in its log, under the number "
        "below.</p>\n";
  if (!message.empty()) html += fmt::format("<p class=\"what\">{}</p>\n", html_escape(message));
  // The story's own last sentence is often the one above.
  const auto same = fmt::format("<p class=\"failure\">{}</p>\n", html_escape(message));
  const auto at = story.find(same);
  html += story.substr(0, at);
  if (at != std::string_view::npos) html += story.substr(at + same.size());
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
