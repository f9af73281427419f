#include "upstream/request_head.h"

#include <gtest/gtest.h>

namespace fivefold::upstream {
namespace {

using Kind = RequestFraming::Kind;

std::string written(const OutgoingHead& head, RequestFraming framing) {
  std::string out;
  const auto appended = append_request_head(head, framing, out);
  return appended ? out : "refused: " + appended.error().message;
}

TEST(RequestHead, Framing) {
  OutgoingHead head{.method = "GET", .target = "/a?b", .fields = {}};
  head.fields.add("Host", "example.org");
  EXPECT_EQ(written(head, {}), "GET /a?b HTTP/1.1\r\nHost: example.org\r\n\r\n");
  EXPECT_EQ(written(head, {Kind::length, 12}), "GET /a?b HTTP/1.1\r\nHost: example.org\r\nContent-Length: 12\r\n\r\n");
  EXPECT_EQ(written(head, {Kind::chunked, 0}),
            "GET /a?b HTTP/1.1\r\nHost: example.org\r\nTransfer-Encoding: chunked\r\n\r\n");
  head.upgrade = "websocket";
  EXPECT_EQ(written(head, {}),
            "GET /a?b HTTP/1.1\r\nHost: example.org\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
}

TEST(RequestHead, FieldsOfTheClientsConnectionAreLeftOut) {
  OutgoingHead head{.method = "POST", .target = "/", .fields = {}};
  for (const auto* name : {"Host", "Content-Length", "A", "transfer-encoding", "Expect", "Connection", "Keep-Alive",
                           "TE", "Trailer", "Upgrade", "Proxy-Connection", "Content-Type", "Te-st"})
    head.fields.add(name, "1");
  EXPECT_EQ(written(head, {Kind::length, 5}),
            "POST / HTTP/1.1\r\nHost: 1\r\nA: 1\r\nContent-Type: 1\r\nTe-st: 1\r\nContent-Length: 5\r\n\r\n");
}

TEST(RequestHead, NothingIsSmuggledIntoTheRequestLine) {
  for (const auto* target : {"", "/a b", "/a\r\nX: y", "/a\n", "/\x7f", "/a HTTP/1.1\r\n\r\nGET /b"})
    EXPECT_TRUE(written({.method = "GET", .target = target, .fields = {}}, {}).starts_with("refused")) << target;
  for (const auto* method : {"", "GE T", "GET\r\n", "G/T"})
    EXPECT_TRUE(written({.method = method, .target = "/", .fields = {}}, {}).starts_with("refused")) << method;
  EXPECT_TRUE(written({.method = "GET", .target = "/", .fields = {}, .upgrade = "a\r\nb"}, {}).starts_with("refused"));
}

}  // namespace
}  // namespace fivefold::upstream
