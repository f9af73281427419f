#include "app/parcel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <thread>

namespace fivefold::app {
namespace {

struct Pair {
  Pair() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
    ours.reset(ends[0]);
    theirs.reset(ends[1]);
  }
  UniqueFd ours, theirs;
};

ino_t inode_of(int fd) {
  struct stat status{};
  EXPECT_EQ(::fstat(fd, &status), 0);
  return status.st_ino;
}

TEST(Parcel, CrossesWithItsDescriptors) {
  Pair pair;
  UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  DescriptorList fds;
  const nlohmann::json content = {{"type", "hello"}, {"none", fds.add(-1)}, {"null", fds.add(null.get())}};
  ASSERT_TRUE(send_parcel(pair.ours.get(), content, fds.all()));
  ParcelReader reader;
  auto parcel = receive_parcel(pair.theirs.get(), reader);
  ASSERT_TRUE(parcel);
  EXPECT_EQ(parcel->content.at("type"), "hello");
  EXPECT_FALSE(take_descriptor(*parcel, parcel->content.at("none")));
  EXPECT_FALSE(take_descriptor(*parcel, 17));
  EXPECT_FALSE(take_descriptor(*parcel, "text"));
  const auto received = take_descriptor(*parcel, parcel->content.at("null"));
  ASSERT_TRUE(received);
  EXPECT_EQ(inode_of(received.get()), inode_of(null.get()));
}

TEST(Parcel, LargeTextAndManyDescriptorsAreSplitAndPutTogetherInOrder) {
  Pair pair;
  std::vector<UniqueFd> files;
  DescriptorList fds;
  for (int i = 0; i < 450; ++i) {
    files.emplace_back(::open(i % 2 ? "/dev/null" : "/dev/zero", O_RDONLY | O_CLOEXEC));
    fds.add(files.back().get());
  }
  const nlohmann::json content = {{"text", std::string(1'000'000, 'x')}};
  std::thread sender([&] { EXPECT_TRUE(send_parcel(pair.ours.get(), content, fds.all())); });
  ParcelReader reader;
  auto parcel = receive_parcel(pair.theirs.get(), reader);
  sender.join();
  ASSERT_TRUE(parcel);
  EXPECT_EQ(parcel->content, content);
  ASSERT_EQ(parcel->fds.size(), 450u);
  for (std::size_t i = 0; i < 450; ++i) EXPECT_EQ(inode_of(parcel->fds[i].get()), inode_of(files[i].get()));
}

TEST(Parcel, WhatIsNoParcelIsRefused) {
  ParcelReader reader(100);
  EXPECT_FALSE(reader.feed("", {}));
  EXPECT_FALSE(reader.feed("{}", {}));
  EXPECT_FALSE(reader.feed(".[]", {}));
  EXPECT_FALSE(reader.feed(".{", {}));
  EXPECT_FALSE(reader.feed("." + std::string(101, ' '), {}));
  // And the reader goes on with the next one.
  const auto parcel = reader.feed(".{\"a\":1}", {});
  ASSERT_TRUE(parcel);
  ASSERT_TRUE(*parcel);
  EXPECT_EQ((*parcel)->content.at("a"), 1);
}

TEST(Parcel, TheEndOfTheOtherProcessIsTold) {
  Pair pair;
  pair.ours.reset();
  ParcelReader reader;
  const auto parcel = receive_parcel(pair.theirs.get(), reader);
  ASSERT_FALSE(parcel);
  EXPECT_EQ(parcel.error().code, Code::closed);
}

}  // namespace
}  // namespace fivefold::app
