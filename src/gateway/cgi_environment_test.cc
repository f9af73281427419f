#include "gateway/cgi_environment.h"

#include <gtest/gtest.h>

#include <map>

namespace fivefold::gateway {
namespace {

using Variables = std::map<std::string, std::string>;

// Also checks what holds of every block: as many strings as it says, a name in each, no name twice.
Variables variables_of(const process::StringBlock& block) {
  Variables variables;
  std::string_view bytes = block.bytes();
  std::uint32_t count = 0;
  while (!bytes.empty()) {
    const auto end = bytes.find('\0');
    const auto entry = bytes.substr(0, end);
    const auto equals = entry.find('=');
    EXPECT_NE(equals, std::string_view::npos) << entry;
    EXPECT_TRUE(variables.emplace(entry.substr(0, equals), entry.substr(equals + 1)).second)
        << entry << " occurs twice";
    bytes.remove_prefix(end + 1);
    ++count;
  }
  EXPECT_EQ(count, block.count());
  return variables;
}

struct Request {
  http::Head head;
  exchange::Peer peer{.address = "192.0.2.7", .port = 4711, .local_address = "198.51.100.1", .local_port = 8080};
  Request() {
    head.method_text = "GET";
    head.target = "/cgi-bin/a.cgi/x%20y?q=1";
    head.raw_path = "/cgi-bin/a.cgi/x%20y";
    head.query = "q=1";
    head.has_query = true;
    head.host = "example.org";
    head.host_field = "example.org:8080";
    head.port = 8080;
    head.fields = {{"Host", "ignored"}};
  }
  CgiRequest cgi() const {
    return {.head = head,
            .peer = peer,
            .script_name = "/cgi-bin/a.cgi",
            .path_info = "/x y",
            .script_filename = "/srv/cgi-bin/a.cgi",
            .request_id = "0123456789abcdef0123456789abcdef"};
  }
};

Variables build(const Request& request, CgiSettings settings = {}) {
  return variables_of(CgiEnvironment(std::move(settings)).build(request.cgi()));
}

TEST(CgiEnvironment, MetaVariables) {
  const Request request;
  const auto all = build(request, {.software = "Fivefold/x", .document_root = "/srv/www"});
  const Variables expected = {
      {"GATEWAY_INTERFACE", "CGI/1.1"},
      {"REQUEST_METHOD", "GET"},
      {"SERVER_PROTOCOL", "HTTP/1.1"},
      {"SERVER_SOFTWARE", "Fivefold/x"},
      {"SERVER_NAME", "example.org"},
      {"SERVER_PORT", "8080"},
      {"SERVER_ADDR", "198.51.100.1"},
      {"REMOTE_ADDR", "192.0.2.7"},
      {"REMOTE_PORT", "4711"},
      {"SCRIPT_NAME", "/cgi-bin/a.cgi"},
      {"PATH_INFO", "/x y"},
      {"PATH_TRANSLATED", "/srv/www/x y"},
      {"QUERY_STRING", "q=1"},
      {"SCRIPT_FILENAME", "/srv/cgi-bin/a.cgi"},
      {"DOCUMENT_ROOT", "/srv/www"},
      {"REQUEST_URI", "/cgi-bin/a.cgi/x%20y?q=1"},
      {"REQUEST_SCHEME", "http"},
      {"REDIRECT_STATUS", "200"},
      {"PATH", std::string(kDefaultSearchPath)},
      {"HTTP_HOST", "example.org:8080"},
      {"REQUEST_ID", "0123456789abcdef0123456789abcdef"},
      {"UNIQUE_ID", "0123456789abcdef0123456789abcdef"},
      {"HTTP_X_REQUEST_ID", "0123456789abcdef0123456789abcdef"},
      {"TRACEPARENT", "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"},
  };
  EXPECT_EQ(all, expected);  // and nothing of the server's own environment
}

TEST(CgiEnvironment, BodyTypeAndLength) {
  Request request;
  EXPECT_EQ(build(request).count("CONTENT_LENGTH"), 0u);
  EXPECT_EQ(build(request).count("CONTENT_TYPE"), 0u);
  request.head.fields = {{"Content-Type", "text/x"}, {"Content-Length", "99"}, {"Transfer-Encoding", "chunked"}};
  auto cgi = request.cgi();
  cgi.content_length = 5;
  const auto all = variables_of(CgiEnvironment({}).build(cgi));
  EXPECT_EQ(all.at("CONTENT_LENGTH"), "5");
  EXPECT_EQ(all.at("CONTENT_TYPE"), "text/x");
  for (const char* name : {"HTTP_CONTENT_LENGTH", "HTTP_CONTENT_TYPE", "HTTP_TRANSFER_ENCODING"})
    EXPECT_EQ(all.count(name), 0u) << name;
}

TEST(CgiEnvironment, FieldsBecomeVariables) {
  Request request;
  request.head.fields = {{"Accept-Language", "en"}, {"X-A", "1"}, {"Cookie", "a=1"}, {"x-a", "2"},
                         {"cookie", "b=2"},         {"X-A", "3"}, {"X-Empty", ""},   {"User-Agent", "() { :;}; echo"}};
  const auto all = build(request);
  EXPECT_EQ(all.at("HTTP_ACCEPT_LANGUAGE"), "en");
  EXPECT_EQ(all.at("HTTP_X_A"), "1, 2, 3");
  EXPECT_EQ(all.at("HTTP_COOKIE"), "a=1; b=2");
  EXPECT_EQ(all.at("HTTP_X_EMPTY"), "");
  EXPECT_EQ(all.at("HTTP_USER_AGENT"), "() { :;}; echo");
}

TEST(CgiEnvironment, FieldsThatNeverBecomeVariables) {
  Request request;
  request.head.fields = {{"Proxy", "http://evil/"},
                         {"pRoXy", "x"},
                         {"X_Forwarded_For", "x"},
                         {"X.F", "x"},
                         {"A!", "x"},
                         {"Connection", "close"},
                         {"Keep-Alive", "1"},
                         {"TE", "trailers"},
                         {"Trailer", "x"},
                         {"Upgrade", "h2c"},
                         {"Expect", "100-continue"},
                         {"Authorization", "Basic x"},
                         {"Proxy-Authorization", "Basic y"}};
  for (const auto& [name, value] : build(request)) {
    if (name.starts_with("HTTP_")) {
      EXPECT_TRUE(name == "HTTP_HOST" || name == "HTTP_X_REQUEST_ID") << name;
    }
  }
  const auto passed = build(request, {.pass_authorization = true});
  EXPECT_EQ(passed.at("HTTP_AUTHORIZATION"), "Basic x");
  EXPECT_EQ(passed.count("HTTP_PROXY_AUTHORIZATION"), 0u);
}

TEST(CgiEnvironment, OperatorsVariablesCannotOverride) {
  Request request;
  CgiSettings settings;
  settings.env = {{"APP", "1"},
                  {"APP", "2"},
                  {"PATH", "/opt/bin"},
                  {"REMOTE_USER", "root"},
                  {"REQUEST_METHOD", "POST"},
                  {"HTTP_X_REAL", "1"},
                  {"HTTPS", "on"},
                  {"HTTP_PROXY", "http://out:3128"},
                  {"bad=name", "x"},
                  {"", "x"},
                  {"NUL", std::string("a\0b", 3)}};
  const CgiEnvironment environment(settings);
  const auto all = variables_of(environment.build(request.cgi()));
  EXPECT_EQ(all.at("APP"), "2");
  EXPECT_EQ(all.at("PATH"), "/opt/bin");
  EXPECT_EQ(all.at("HTTP_PROXY"), "http://out:3128");
  EXPECT_EQ(all.at("REQUEST_METHOD"), "GET");
  for (const char* name : {"REMOTE_USER", "HTTP_X_REAL", "HTTPS", "NUL"}) EXPECT_EQ(all.count(name), 0u) << name;
  EXPECT_EQ(environment.refused().size(), 7u);
}

TEST(CgiEnvironment, TlsAuthenticationAndRedirect) {
  Request request;
  request.peer.secure = true;
  auto cgi = request.cgi();
  cgi.user = "anna";
  cgi.auth_type = "Basic";
  cgi.redirected_path = "/first%20one";
  cgi.redirected_query = "a=b";
  const auto all = variables_of(CgiEnvironment({}).build(cgi));
  EXPECT_EQ(all.at("HTTPS"), "on");
  EXPECT_EQ(all.at("REQUEST_SCHEME"), "https");
  EXPECT_EQ(all.at("REMOTE_USER"), "anna");
  EXPECT_EQ(all.at("AUTH_TYPE"), "Basic");
  EXPECT_EQ(all.at("REDIRECT_URL"), "/first%20one");
  EXPECT_EQ(all.at("REDIRECT_QUERY_STRING"), "a=b");
}

TEST(CgiEnvironment, WithoutHostPathInfoQueryOrPort) {
  Request request;
  request.head.host = request.head.host_field = request.head.query = {};
  request.head.has_query = false;
  request.head.port.reset();
  request.head.minor_version = 0;
  request.peer = {.address = "unix:"};
  auto cgi = request.cgi();
  cgi.path_info = {};
  const auto all = variables_of(CgiEnvironment({.server_name = "fallback"}).build(cgi));
  EXPECT_EQ(all.at("SERVER_NAME"), "fallback");
  EXPECT_EQ(all.at("SERVER_PORT"), "80");
  EXPECT_EQ(all.at("SERVER_PROTOCOL"), "HTTP/1.0");
  EXPECT_EQ(all.at("QUERY_STRING"), "");
  for (const char* name : {"PATH_INFO", "PATH_TRANSLATED", "HTTP_HOST", "REMOTE_PORT"})
    EXPECT_EQ(all.count(name), 0u) << name;
}

TEST(CgiEnvironment, AbsoluteFormTargetAndClientsOwnIds) {
  Request request;
  request.head.form = http::TargetForm::absolute;
  request.head.target = "http://example.org/cgi-bin/a.cgi?q=1";
  request.head.raw_path = "/cgi-bin/a.cgi";
  request.head.fields = {{"X-Request-Id", "mine"}, {"traceparent", "00-aa-bb-01"}};
  const auto all = build(request);
  EXPECT_EQ(all.at("REQUEST_URI"), "/cgi-bin/a.cgi?q=1");
  EXPECT_EQ(all.at("HTTP_X_REQUEST_ID"), "mine");
  EXPECT_EQ(all.at("HTTP_TRACEPARENT"), "00-aa-bb-01");
  EXPECT_EQ(all.count("TRACEPARENT"), 0u);
}

TEST(CgiEnvironment, NulInThePathLeavesTheVariableOut) {
  Request request;
  auto cgi = request.cgi();
  cgi.path_info = std::string_view("/a\0LD_PRELOAD=/x", 16);
  const auto all = variables_of(CgiEnvironment({.document_root = "/r"}).build(cgi));
  EXPECT_EQ(all.count("PATH_INFO"), 0u);
  EXPECT_EQ(all.count("PATH_TRANSLATED"), 0u);
  EXPECT_EQ(all.count("LD_PRELOAD"), 0u);
}

}  // namespace
}  // namespace fivefold::gateway
