#include "net/tls_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "net/net_testing.h"
#include "net/tls_testing.h"

namespace fivefold::net {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

struct TlsClientTest : testing::Test {
  Identity authority = make_identity({.names = "", .authority = true});
  Identity server_identity = make_identity({.names = "DNS:app.test,IP:127.0.0.1,IP:::1"}, &authority);
  PemFiles files;
  std::string ca_file = files.certificate(authority);
  Loop loop{0};

  std::shared_ptr<TlsClient> client(TlsClientSettings settings = {}) {
    if (settings.server_name.empty()) settings.server_name = "app.test";
    if (settings.ca_file.empty()) settings.ca_file = ca_file;
    auto made = TlsClient::make(std::move(settings));
    EXPECT_TRUE(made.has_value()) << made.error().message;
    return *made;
  }
  Result<void> start(TlsClient& tls, Stream& stream, milliseconds time = milliseconds(10'000)) {
    return result_of<Result<void>>(loop, tls.start(stream, Clock::now() + time), fail(Code::internal, "unset"));
  }
  // The outcome of a handshake with a server of this identity.
  Result<void> handshake(const Identity& identity, TlsClientSettings settings = {}) {
    TlsServer server({.identity = identity}, [](SSL*, int) {});
    Stream stream(loop, std::move(server.client));
    return start(*client(std::move(settings)), stream);
  }
};

void expect_untrusted(const Result<void>& result, const std::string& why) {
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, Code::program_unavailable);
  EXPECT_THAT(result.error().message, HasSubstr("is not trusted: "));
  EXPECT_THAT(result.error().message, HasSubstr(why));
}

TEST_F(TlsClientTest, TrustsACertificateOfTheAuthorityAndAsksForHttp) {
  TlsServer server({.identity = server_identity}, [](SSL*, int) {});
  Stream stream(loop, std::move(server.client));
  const auto started = start(*client({.server_name = "app.test."}), stream);
  EXPECT_TRUE(started.has_value()) << started.error().message;
  server.join();
  EXPECT_EQ(server.asked_name, "app.test");
  EXPECT_EQ(server.asked_protocol, "http/1.1");
}

TEST_F(TlsClientTest, AnAddressIsCheckedAsOneAndNotSentAsAName) {
  for (const char* address : {"127.0.0.1", "::1"}) {
    TlsServer server({.identity = server_identity}, [](SSL*, int) {});
    Stream stream(loop, std::move(server.client));
    EXPECT_TRUE(start(*client({.server_name = address}), stream).has_value()) << address;
    server.join();
    EXPECT_EQ(server.asked_name, "");
  }
  expect_untrusted(handshake(server_identity, {.server_name = "127.0.0.2"}), "IP address mismatch");
}

TEST_F(TlsClientTest, RefusesAnotherName) {
  expect_untrusted(handshake(server_identity, {.server_name = "other.test"}), "certificate of other.test");
  expect_untrusted(handshake(server_identity, {.server_name = "other.test"}), "hostname mismatch");
}

TEST_F(TlsClientTest, RefusesASelfSignedCertificateUnlessItIsTrustedItself) {
  const Identity alone = make_identity({});
  expect_untrusted(handshake(alone), "self-signed certificate");
  EXPECT_TRUE(handshake(alone, {.ca_file = files.certificate(alone)}).has_value());
}

TEST_F(TlsClientTest, TheSystemsAuthoritiesDoNotKnowOurs) {
  auto tls = TlsClient::make({.server_name = "app.test"});
  ASSERT_TRUE(tls.has_value()) << tls.error().message;
  TlsServer server({.identity = server_identity}, [](SSL*, int) {});
  Stream stream(loop, std::move(server.client));
  expect_untrusted(start(**tls, stream), "unable to get local issuer certificate");
}

TEST_F(TlsClientTest, RefusesAnExpiredCertificateAndOneOfTheFuture) {
  expect_untrusted(handshake(make_identity({.from = -7200, .until = -3600}, &authority)), "certificate has expired");
  expect_untrusted(handshake(make_identity({.from = 3600, .until = 7200}, &authority)), "not yet valid");
}

TEST_F(TlsClientTest, VerificationCanBeTurnedOff) {
  EXPECT_TRUE(handshake(make_identity({.until = -1}), {.verify = false}).has_value());
}

TEST_F(TlsClientTest, UnusableFilesAreNamed) {
  const Identity other = make_identity({});
  struct Row {
    TlsClientSettings settings;
    std::string says;
  };
  const std::string rubbish = files.text("rubbish");
  const std::string certificate = files.certificate(server_identity);
  const std::vector<Row> rows = {
      {{.ca_file = "/nowhere/ca.pem"}, "the trusted certificates /nowhere/ca.pem"},
      {{.ca_file = rubbish}, "the trusted certificates " + rubbish},
      {{.certificate = rubbish}, "the client certificate " + rubbish},
      {{.certificate = certificate}, "the key of the client certificate, " + certificate},
      {{.certificate = certificate, .key = files.key(other)}, "key values mismatch"},
      {{.certificate = certificate, .key = files.key(server_identity, "secret")}, "the key of the client certificate"},
      {{.server_name = ""}, "TLS needs the name"},
  };
  for (Row row : rows) {
    if (row.says != "TLS needs the name") row.settings.server_name = "app.test";
    const auto made = TlsClient::make(row.settings);
    ASSERT_FALSE(made.has_value()) << row.says;
    EXPECT_EQ(made.error().code, Code::internal);
    EXPECT_THAT(made.error().message, HasSubstr(row.says));
  }
}

// Reads until the end, or until `most` bytes have come.
Task<void> read_all(Stream& stream, std::string& into, Result<std::size_t>& last, std::size_t most = SIZE_MAX) {
  while (into.size() < most) {
    last = co_await stream.fill();
    if (!last || *last == 0) co_return;
    into += stream.buffered();
    stream.consume(stream.buffered().size());
  }
}

TEST_F(TlsClientTest, AClientCertificateIsShownToWhoeverWantsOne) {
  const Identity own = make_identity({.names = "DNS:server.test"}, &authority);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const auto greet = [](SSL* ssl, int) {
      SSL_write(ssl, "welcome", 7);
      SSL_shutdown(ssl);
    };
    const TlsServer::Wishes wishes{server_identity, &authority, version};
    {
      TlsServer server(wishes, greet);
      Stream stream(loop, std::move(server.client));
      ASSERT_TRUE(start(*client({.certificate = files.certificate(own), .key = files.key(own)}), stream).has_value());
      std::string text;
      Result<std::size_t> last;
      run(loop, read_all(stream, text, last));
      EXPECT_EQ(text, "welcome");
    }
    TlsServer server(wishes, greet);
    Stream stream(loop, std::move(server.client));
    const auto started = start(*client(), stream);
    if (version == TLS1_2_VERSION) {
      ASSERT_FALSE(started.has_value());
      EXPECT_THAT(started.error().message, HasSubstr("the TLS handshake with app.test failed: "));
    } else {  // the server's refusal comes after the handshake
      std::string text;
      Result<std::size_t> last;
      run(loop, read_all(stream, text, last));
      ASSERT_FALSE(last.has_value());
      EXPECT_EQ(last.error().code, Code::closed);
      EXPECT_THAT(last.error().message, HasSubstr("certificate required"));
    }
  }
}

TEST_F(TlsClientTest, AServerWithoutTlsIsNamed) {
  TlsServer server({.identity = server_identity, .shakes_hands = false}, [](SSL*, int fd) {
    const std::string answer = "HTTP/1.1 400 Bad Request\r\n\r\n";
    EXPECT_EQ(::write(fd, answer.data(), answer.size()), static_cast<ssize_t>(answer.size()));
  });
  Stream stream(loop, std::move(server.client));
  const auto started = start(*client(), stream);
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().code, Code::program_unavailable);
  EXPECT_THAT(started.error().message, HasSubstr("may not speak TLS"));
}

TEST_F(TlsClientTest, AServerThatLeavesDuringTheHandshakeIsNamed) {
  TlsServer server({.identity = server_identity, .shakes_hands = false}, [](SSL*, int fd) {
    char byte = 0;
    EXPECT_EQ(::read(fd, &byte, 1), 1);
    ::shutdown(fd, SHUT_WR);
  });
  Stream stream(loop, std::move(server.client));
  const auto started = start(*client(), stream);
  ASSERT_FALSE(started.has_value());
  EXPECT_EQ(started.error().code, Code::program_unavailable);
  EXPECT_THAT(started.error().message, HasSubstr("the TLS handshake with app.test failed"));
}

void wait_for_end(SSL*, int fd) {
  char bytes[4096];
  while (::read(fd, bytes, sizeof bytes) > 0) {
  }
}

TEST_F(TlsClientTest, TheHandshakeHasADeadline) {
  TlsServer server({.identity = server_identity, .shakes_hands = false}, wait_for_end);
  {
    Stream stream(loop, std::move(server.client));
    const auto started = start(*client(), stream, milliseconds(60));
    ASSERT_FALSE(started.has_value());
    EXPECT_EQ(started.error().code, Code::timed_out);
    EXPECT_EQ(started.error().message, "the TLS handshake with app.test did not end in time");
  }
}

TEST_F(TlsClientTest, AHandshakeMayBeLetGoOf) {
  TlsServer server({.identity = server_identity, .shakes_hands = false}, wait_for_end);
  const auto tls = client();
  {
    Stream stream(loop, std::move(server.client));
    Result<void> ignored;
    Running starting(store(tls->start(stream, kNever), ignored));
    EXPECT_FALSE(starting.done());
  }
  run(loop, sleep_briefly(loop));
  server.join();  // the connection is closed
}

TEST_F(TlsClientTest, AnEndWithoutCloseNotifyIsNoEnd) {
  for (const bool announced : {true, false}) {
    TlsServer server({.identity = server_identity}, [&](SSL* ssl, int) {
      SSL_write(ssl, "all of it?", 10);
      if (announced) SSL_shutdown(ssl);
    });
    Stream stream(loop, std::move(server.client));
    ASSERT_TRUE(start(*client(), stream).has_value());
    std::string text;
    Result<std::size_t> last;
    run(loop, read_all(stream, text, last));
    EXPECT_EQ(text, "all of it?");
    if (announced) {
      EXPECT_EQ(last.value(), 0u);
    } else {
      ASSERT_FALSE(last.has_value());
      EXPECT_EQ(last.error().code, Code::closed);
      EXPECT_THAT(last.error().message, HasSubstr("cut off"));
    }
  }
}

TEST_F(TlsClientTest, BytesThatAreNotTlsEndTheStreamWithAnError) {
  TlsServer server({.identity = server_identity}, [](SSL*, int fd) {
    const std::string forged = "\x17\x03\x03\x00\x20" + std::string(32, 'x');
    EXPECT_EQ(::write(fd, forged.data(), forged.size()), static_cast<ssize_t>(forged.size()));
  });
  Stream stream(loop, std::move(server.client));
  ASSERT_TRUE(start(*client(), stream).has_value());
  std::string text;
  Result<std::size_t> last;
  run(loop, read_all(stream, text, last));
  EXPECT_EQ(text, "");
  ASSERT_FALSE(last.has_value());
  EXPECT_EQ(last.error().code, Code::closed);
}

Task<Result<std::size_t>> fill(Stream& stream, TimePoint deadline) {
  auto filled = co_await stream.fill(deadline);
  co_return filled;
}

TEST_F(TlsClientTest, ASecondHandshakeIsNotMade) {
  int handshakes_begun = 0;
  TlsServer server({server_identity, nullptr, TLS1_2_VERSION}, [&](SSL* ssl, int) {
    SSL_set_app_data(ssl, &handshakes_begun);
    SSL_set_msg_callback(ssl, [](int written, int, int type, const void* bytes, std::size_t, SSL* from, void*) {
      if (!written && type == SSL3_RT_HANDSHAKE && *static_cast<const unsigned char*>(bytes) == SSL3_MT_CLIENT_HELLO)
        ++*static_cast<int*>(SSL_get_app_data(from));
    });
    SSL_renegotiate(ssl);
    SSL_do_handshake(ssl);  // asks the client to begin
    char byte = 0;
    EXPECT_LE(SSL_read(ssl, &byte, 1), 0);  // a warning that it will not, or the end
  });
  {
    Stream stream(loop, std::move(server.client));
    ASSERT_TRUE(start(*client(), stream).has_value());
    Result<std::size_t> last;
    run(loop, store(fill(stream, Clock::now() + milliseconds(1000)), last));
    EXPECT_FALSE(last.has_value());
  }
  server.join();
  EXPECT_EQ(handshakes_begun, 0);
}

}  // namespace
}  // namespace fivefold::net
