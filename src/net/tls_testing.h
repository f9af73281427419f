#pragma once
// Certificates and a TLS server on a thread, for the tests of this room.
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/unique_fd.h"

namespace fivefold::net {

struct Identity {
  std::shared_ptr<X509> certificate;
  std::shared_ptr<EVP_PKEY> key;
};

struct IdentityWishes {
  std::string names = "DNS:app.test";  // subjectAltName
  long from = -3600, until = 3600;     // seconds from now
  bool authority = false;
};

// A certificate signed by `issuer`, or by itself.
inline Identity make_identity(const IdentityWishes& wishes, const Identity* issuer = nullptr) {
  static long serial = 1;
  Identity made{{X509_new(), X509_free}, {EVP_EC_gen("P-256"), EVP_PKEY_free}};
  X509* certificate = made.certificate.get();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), serial++);
  X509_gmtime_adj(X509_getm_notBefore(certificate), wishes.from);
  X509_gmtime_adj(X509_getm_notAfter(certificate), wishes.until);
  X509_set_pubkey(certificate, made.key.get());
  const std::string common = "test " + std::to_string(serial);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(common.c_str()), -1, -1, 0);
  X509* by = issuer ? issuer->certificate.get() : certificate;
  X509_set_issuer_name(certificate, X509_get_subject_name(by));
  X509V3_CTX context;
  X509V3_set_ctx(&context, by, certificate, nullptr, nullptr, 0);
  const auto extend = [&](int name, const std::string& value) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, name, value.c_str());
    EXPECT_NE(extension, nullptr) << value;
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
  };
  extend(NID_basic_constraints, wishes.authority ? "critical,CA:TRUE" : "CA:FALSE");
  if (!wishes.names.empty()) extend(NID_subject_alt_name, wishes.names);
  EXPECT_GT(X509_sign(certificate, issuer ? issuer->key.get() : made.key.get(), EVP_sha256()), 0);
  return made;
}

// A folder of PEM files that goes with its object.
class PemFiles {
 public:
  PemFiles() {
    std::string name = testing::TempDir() + "pem-XXXXXX";
    EXPECT_NE(::mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  ~PemFiles() {
    for (const auto& file : files_) ::unlink(file.c_str());
    ::rmdir(folder_.c_str());
  }
  std::string certificate(const Identity& identity) {
    return write([&](FILE* file) { PEM_write_X509(file, identity.certificate.get()); });
  }
  std::string key(const Identity& identity, const char* password = nullptr) {
    return write([&](FILE* file) {
      PEM_write_PrivateKey(file, identity.key.get(), password ? EVP_aes_128_cbc() : nullptr,
                           reinterpret_cast<const unsigned char*>(password),
                           password ? static_cast<int>(std::char_traits<char>::length(password)) : 0, nullptr, nullptr);
    });
  }
  std::string text(const std::string& bytes) {
    return write([&](FILE* file) { std::fwrite(bytes.data(), 1, bytes.size(), file); });
  }

 private:
  std::string write(const std::function<void(FILE*)>& content) {
    files_.push_back(folder_ + "/" + std::to_string(files_.size()));
    FILE* file = std::fopen(files_.back().c_str(), "we");
    EXPECT_NE(file, nullptr);
    content(file);
    std::fclose(file);
    return files_.back();
  }
  std::string folder_;
  std::vector<std::string> files_;
};

// One end of a socket pair whose other end is served, blocking, by a thread: shakes hands, then runs `work`.
class TlsServer {
 public:
  using Work = std::function<void(SSL* ssl, int fd)>;
  struct Wishes {
    Identity identity;
    const Identity* client_authority = nullptr;  // a client certificate is asked for
    int version = 0;                             // no later one than this
    bool shakes_hands = true;
  };
  TlsServer(const Wishes& wishes, Work work) {
    std::array<int, 2> fds{};
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds.data()), 0);
    client.reset(fds[0]);
    context_.reset(SSL_CTX_new(TLS_server_method()), SSL_CTX_free);
    SSL_CTX_use_certificate(context_.get(), wishes.identity.certificate.get());
    SSL_CTX_use_PrivateKey(context_.get(), wishes.identity.key.get());
    if (wishes.version != 0) SSL_CTX_set_max_proto_version(context_.get(), wishes.version);
    if (wishes.client_authority) {
      X509_STORE_add_cert(SSL_CTX_get_cert_store(context_.get()), wishes.client_authority->certificate.get());
      SSL_CTX_set_verify(context_.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    }
    SSL_CTX_set_tlsext_servername_callback(context_.get(), &TlsServer::named);
    SSL_CTX_set_tlsext_servername_arg(context_.get(), this);
    SSL_CTX_set_alpn_select_cb(context_.get(), &TlsServer::protocol, this);
    thread_ = std::thread([this, work = std::move(work), fd = fds[1], shakes = wishes.shakes_hands] {
      const UniqueFd own(fd);
      sigset_t pipe;  // OpenSSL's own socket code does not suppress it
      sigemptyset(&pipe);
      sigaddset(&pipe, SIGPIPE);
      pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
      SSL* ssl = SSL_new(context_.get());
      SSL_set_fd(ssl, fd);
      if (!shakes || SSL_accept(ssl) == 1) work(ssl, fd);
      SSL_free(ssl);
    });
  }
  ~TlsServer() {
    client.reset();
    join();
  }
  void join() {
    if (thread_.joinable()) thread_.join();
  }

  UniqueFd client;
  std::string asked_name;      // by SNI
  std::string asked_protocol;  // the first of ALPN

 private:
  static int named(SSL* ssl, int*, void* self) {
    if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name))
      static_cast<TlsServer*>(self)->asked_name = name;
    return SSL_TLSEXT_ERR_OK;
  }
  static int protocol(SSL*, const unsigned char** out, unsigned char* size, const unsigned char* in, unsigned,
                      void* self) {
    static_cast<TlsServer*>(self)->asked_protocol.assign(reinterpret_cast<const char*>(in + 1), in[0]);
    *out = in + 1;
    *size = in[0];
    return SSL_TLSEXT_ERR_OK;
  }
  std::shared_ptr<SSL_CTX> context_;
  std::thread thread_;
};

}  // namespace fivefold::net
