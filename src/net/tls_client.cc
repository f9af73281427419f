#include "net/tls_client.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "net/tls_connection.h"

namespace fivefold::net {
namespace {

constexpr unsigned char kProtocols[] = {8, 'h', 't', 't', 'p', '/', '1', '.', '1'};  // ALPN, RFC 7301 section 3.1

bool is_ip_address(const std::string& name) {
  in6_addr raw;
  return ::inet_pton(AF_INET, name.c_str(), &raw) == 1 || ::inet_pton(AF_INET6, name.c_str(), &raw) == 1;
}

std::unexpected<Error> unusable(const std::string& what) {
  const unsigned long error = ERR_peek_error();
  const char* reason = error == 0 ? nullptr : ERR_reason_error_string(error);
  std::string words = what + ": " +
                      (reason                    ? std::string(reason)
                       : ERR_SYSTEM_ERROR(error) ? errno_text(ERR_GET_REASON(error))
                                                 : std::string("it cannot be used"));
  ERR_clear_error();
  return fail(Code::internal, std::move(words));
}

// OpenSSL would ask for the password on the terminal.
int no_password(char*, int, int, void*) { return -1; }

class OpenSslClient final : public TlsClient {
 public:
  explicit OpenSslClient(TlsClientSettings settings)
      : settings_(std::move(settings)), by_address_(is_ip_address(settings_.server_name)) {
    // "name." is the same host (RFC 6066 section 3: SNI is without the dot).
    if (settings_.server_name.ends_with('.')) settings_.server_name.pop_back();
  }
  ~OpenSslClient() override { SSL_CTX_free(context_); }

  Result<void> prepare() {
    ERR_clear_error();
    context_ = SSL_CTX_new(TLS_client_method());
    if (!context_) return unusable("prepare TLS");
    SSL_CTX_set_min_proto_version(context_, TLS1_2_VERSION);
    SSL_CTX_set_options(context_, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_mode(context_,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_default_passwd_cb(context_, no_password);
    if (SSL_CTX_set_alpn_protos(context_, kProtocols, sizeof kProtocols) != 0) return unusable("prepare TLS");
    if (auto trusted = prepare_trust(); !trusted) return trusted;
    return prepare_certificate();
  }

  Task<Result<void>> start(Stream& stream, TimePoint deadline) override {
    const auto& name = settings_.server_name;
    SSL* ssl = SSL_new(context_);
    if (!ssl) co_return fail(Code::out_of_resources, "begin TLS with " + name + ": no memory");
    SSL_set_connect_state(ssl);
    if (!by_address_ && !name.empty()) SSL_set_tlsext_host_name(ssl, name.c_str());
    auto tls = std::make_unique<detail::TlsConnection>(ssl, stream.fd());
    auto started = co_await detail::TlsStart::run(stream, tls, deadline);
    if (started) co_return started;
    co_return failure(started.error(), SSL_get_verify_result(tls->ssl()));
  }

 private:
  Result<void> prepare_trust() {
    if (!settings_.verify) {
      SSL_CTX_set_verify(context_, SSL_VERIFY_NONE, nullptr);
      return {};
    }
    const auto& name = settings_.server_name;
    if (name.empty()) return fail(Code::internal, "TLS needs the name that the application's certificate is for");
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
    X509_VERIFY_PARAM* parameters = SSL_CTX_get0_param(context_);
    X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    X509_VERIFY_PARAM_set_flags(parameters, X509_V_FLAG_PARTIAL_CHAIN);
    const int named = by_address_ ? X509_VERIFY_PARAM_set1_ip_asc(parameters, name.c_str())
                                  : X509_VERIFY_PARAM_set1_host(parameters, name.c_str(), name.size());
    if (named != 1) return unusable("TLS with the name " + name);
    if (settings_.ca_file.empty()) {
      if (SSL_CTX_set_default_verify_paths(context_) != 1) return unusable("the system's certificates");
    } else if (SSL_CTX_load_verify_file(context_, settings_.ca_file.c_str()) != 1) {
      return unusable("the trusted certificates " + settings_.ca_file);
    }
    return {};
  }

  Result<void> prepare_certificate() {
    if (settings_.certificate.empty()) return {};
    if (SSL_CTX_use_certificate_chain_file(context_, settings_.certificate.c_str()) != 1)
      return unusable("the client certificate " + settings_.certificate);
    const auto& key = settings_.key.empty() ? settings_.certificate : settings_.key;
    if (SSL_CTX_use_PrivateKey_file(context_, key.c_str(), SSL_FILETYPE_PEM) != 1)
      return unusable("the key of the client certificate, " + key);
    if (SSL_CTX_check_private_key(context_) != 1)
      return unusable(fmt::format("the client certificate {} and the key {}", settings_.certificate, key));
    return {};
  }

  std::unexpected<Error> failure(const Error& error, long verified) const {
    const std::string name = settings_.server_name.empty() ? "the application" : settings_.server_name;
    if (error.code == Code::timed_out)
      return fail(Code::timed_out, fmt::format("the TLS handshake with {} did not end in time", name));
    if (error.code != Code::closed) return std::unexpected(error);
    if (settings_.verify && verified != X509_V_OK)
      return fail(Code::program_unavailable, fmt::format("the certificate of {} is not trusted: {}", name,
                                                         X509_verify_cert_error_string(verified)));
    return fail(Code::program_unavailable, fmt::format("the TLS handshake with {} failed: {}", name, error.message));
  }

  TlsClientSettings settings_;
  const bool by_address_;
  SSL_CTX* context_ = nullptr;
};

}  // namespace

Result<std::shared_ptr<TlsClient>> TlsClient::make(TlsClientSettings settings) {
  auto client = std::make_shared<OpenSslClient>(std::move(settings));
  if (auto prepared = client->prepare(); !prepared) return std::unexpected(std::move(prepared.error()));
  return client;
}

}  // namespace fivefold::net
