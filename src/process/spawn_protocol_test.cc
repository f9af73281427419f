#include "process/spawn_protocol.h"

#include <gtest/gtest.h>

namespace fivefold::process {
namespace {

std::string spawn_message(const SpawnHeader& header, std::string_view body) {
  return std::string(bytes_of(header)) + std::string(body);
}

SpawnHeader header_for(std::string_view executable, std::string_view directory, const StringBlock& arguments,
                       const StringBlock& environment) {
  SpawnHeader header;
  header.executable_size = static_cast<std::uint32_t>(executable.size() + 1);
  header.directory_size = static_cast<std::uint32_t>(directory.size() + 1);
  header.arguments_size = static_cast<std::uint32_t>(arguments.bytes().size());
  header.arguments_count = arguments.count();
  header.environment_size = static_cast<std::uint32_t>(environment.bytes().size());
  header.environment_count = environment.count();
  return header;
}

TEST(SpawnProtocol, ReadsBackASpawn) {
  StringBlock arguments, environment;
  arguments.add("a");
  arguments.add("");
  environment.add("X", "1");
  const SpawnHeader header = header_for("/bin/x", "/tmp", arguments, environment);
  std::string body =
      std::string("/bin/x\0/tmp\0", 12) + std::string(arguments.bytes()) + std::string(environment.bytes());
  SpawnRequest request;
  ASSERT_TRUE(parse_spawn(spawn_message(header, body), request));
  SpawnStrings strings;
  ASSERT_TRUE(parse_body(header, body, strings));
  EXPECT_STREQ(strings.executable, "/bin/x");
  EXPECT_STREQ(strings.directory, "/tmp");
  ASSERT_EQ(strings.argv.size(), 3u);
  EXPECT_STREQ(strings.argv[0], "a");
  EXPECT_STREQ(strings.argv[1], "");
  EXPECT_EQ(strings.argv[2], nullptr);
  ASSERT_EQ(strings.envp.size(), 2u);
  EXPECT_STREQ(strings.envp[0], "X=1");
}

TEST(SpawnProtocol, ReadsBackAKeptProcess) {
  StringBlock arguments, environment;
  arguments.add("a");
  SpawnHeader header = header_for("/bin/x", "/tmp", arguments, environment);
  header.keep_size = 5;
  header.kept_count = 2;
  header.extra_count = 1;
  header.flags = SpawnHeader::kStdin | SpawnHeader::kListenPid;
  std::string body("/bin/x\0/tmp\0a\0k\0\nep", 19);
  SpawnRequest request;
  ASSERT_TRUE(parse_spawn(spawn_message(header, body), request));
  EXPECT_EQ(request.header.descriptor_count(), 4u);
  SpawnStrings strings;
  ASSERT_TRUE(parse_body(header, body, strings));
  EXPECT_EQ(strings.keep, std::string_view("k\0\nep", 5));
  EXPECT_EQ(strings.argv.size(), 2u);

  AdoptedMessage adopted;
  adopted.id = kFirstAdoptedId;
  adopted.keep_size = 4;
  const std::string message = std::string(bytes_of(adopted)) + "text";
  AdoptedMessage read;
  std::string_view keep;
  ASSERT_TRUE(parse_adopted(message, read, keep));
  EXPECT_EQ(keep, "text");
  EXPECT_EQ(read.id, kFirstAdoptedId);
  EXPECT_FALSE(parse_adopted(message + "x", read, keep));
  for (std::size_t size = 0; size < message.size(); ++size)
    EXPECT_FALSE(parse_adopted(std::string_view(message).substr(0, size), read, keep)) << size;
}

TEST(SpawnProtocol, IdentitiesCrossInPieces) {
  const std::string table = encode_identities(std::vector<Identity>{{.program = "one"}, {.program = "two"}});
  const auto piece = [](std::uint32_t position, std::string_view bytes) {
    IdentityPiece head;
    head.position = position;
    return std::string(bytes_of(head)) + std::string(bytes);
  };
  IdentityPieces pieces;
  EXPECT_FALSE(pieces.feed(piece(IdentityPiece::kLast, table))) << "it had no beginning";
  EXPECT_FALSE(pieces.feed(piece(IdentityPiece::kFirst, "what a keeper began and began anew")));
  EXPECT_FALSE(pieces.feed(piece(IdentityPiece::kFirst, table.substr(0, 10))));
  EXPECT_FALSE(pieces.feed(piece(0, table.substr(10, 20))));
  const auto whole = pieces.feed(piece(IdentityPiece::kLast, table.substr(30)));
  ASSERT_TRUE(whole);
  EXPECT_EQ((*whole)[1].identity.program, "two");
  EXPECT_FALSE(pieces.feed(piece(IdentityPiece::kFirst | IdentityPiece::kLast, table + "x")));
  EXPECT_TRUE(pieces.feed(piece(IdentityPiece::kFirst | IdentityPiece::kLast, table)));
  EXPECT_FALSE(pieces.feed("x"));
}

TEST(SpawnProtocol, EveryTruncationIsRefused) {
  StringBlock arguments, environment;
  arguments.add("a");
  environment.add("X", "1");
  SpawnHeader header = header_for("/bin/x", "/tmp", arguments, environment);
  header.release_count = 2;
  const ReleaseEntry entry{7, 300, 0};
  const std::string message = spawn_message(
      header, std::string(bytes_of(entry)) + std::string(bytes_of(entry)) + std::string("/bin/x\0/tmp\0a\0X=1\0", 18));
  SpawnRequest request;
  EXPECT_TRUE(parse_spawn(message, request));
  EXPECT_EQ(request.releases.size(), 2u);
  EXPECT_EQ(request.releases[1].id, 7u);
  for (std::size_t size = 0; size < message.size(); ++size)
    EXPECT_FALSE(parse_spawn(std::string_view(message).substr(0, size), request)) << size;
}

TEST(SpawnProtocol, HoldsItsLimits) {
  SpawnRequest request;
  SpawnHeader header;
  header.flags = SpawnHeader::kBodyInMemfd;
  header.arguments_count = 1;
  header.arguments_size = kMaxBody;
  EXPECT_TRUE(parse_spawn(bytes_of(header), request));
  header.environment_size = 1;
  EXPECT_FALSE(parse_spawn(bytes_of(header), request));
  header = {};
  header.flags = SpawnHeader::kBodyInMemfd;
  header.arguments_count = kMaxStrings + 1;
  EXPECT_FALSE(parse_spawn(bytes_of(header), request));
  header.arguments_count = 0;
  EXPECT_FALSE(parse_spawn(bytes_of(header), request));
  std::vector<ReleaseEntry> releases;
  ReleaseHeader release;
  release.release_count = kMaxReleases + 1;
  EXPECT_FALSE(parse_release(
      std::string(bytes_of(release)) + std::string((kMaxReleases + 1) * sizeof(ReleaseEntry), '\0'), releases));
  release.release_count = 1;
  EXPECT_FALSE(parse_release(
      std::string(bytes_of(release)) + std::string(bytes_of(ReleaseEntry{1, kMaxGraceMilliseconds + 1, 0})), releases));
}

TEST(SpawnProtocol, ReadsBackIdentities) {
  const std::vector<Identity> sent{{.program = "one"},
                                   {.program = "two",
                                    .switch_user = true,
                                    .uid = 12345,
                                    .gid = 54321,
                                    .memory = 1,
                                    .cpu_seconds = 2,
                                    .files = 3,
                                    .processes = 4,
                                    .file_size = 5,
                                    .core = 6},
                                   {.program = "three", .switch_user = true, .uid = 0, .gid = 0, .user = "root"}};
  const std::string message = encode_identities(sent);
  const auto read = parse_identities(message);
  ASSERT_TRUE(read);
  ASSERT_EQ(read->size(), 3u);
  EXPECT_EQ((*read)[0].identity.program, "one");
  EXPECT_TRUE((*read)[0].groups.empty());
  EXPECT_EQ((*read)[1].identity.uid, 12345u);
  EXPECT_EQ((*read)[1].groups, std::vector<gid_t>{54321});
  EXPECT_EQ((*read)[1].identity.core, 6u);
  EXPECT_EQ((*read)[1].identity.processes, 4u);
  EXPECT_FALSE((*read)[2].groups.empty());
  for (std::size_t size = 0; size < message.size(); ++size)
    EXPECT_FALSE(parse_identities(std::string_view(message).substr(0, size)));
}

}  // namespace
}  // namespace fivefold::process
