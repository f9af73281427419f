#include "app/keeper/accounts.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

namespace fivefold::app {
namespace {

TEST(Accounts, NamesAndNumbersAreFound) {
  const auto root = find_account("root", "");
  ASSERT_TRUE(root);
  EXPECT_EQ(root->uid, 0u);
  const auto number = find_account("0", "");
  ASSERT_TRUE(number);
  EXPECT_EQ(number->user, "root");
  const auto without_entry = find_account("54321", "54322");
  ASSERT_TRUE(without_entry);
  EXPECT_EQ(without_entry->uid, 54321u);
  EXPECT_EQ(without_entry->gid, 54322u);
  EXPECT_EQ(without_entry->groups, std::vector<gid_t>{54322});
}

TEST(Accounts, WhoDoesNotExistIsNamed) {
  const auto nobody = find_account("no-such-user-here", "");
  ASSERT_FALSE(nobody);
  EXPECT_NE(nobody.error().message.find("no-such-user-here"), std::string::npos);
  EXPECT_FALSE(find_account("root", "no-such-group-here"));
  EXPECT_FALSE(find_account("54321", ""));
}

TEST(Accounts, CrossToTheServer) {
  const Account account{.switch_user = true, .user = "www-data", .uid = 33, .gid = 34, .groups = {34, 4}};
  const auto copy = account_from_json(to_json(account));
  EXPECT_TRUE(copy.switch_user);
  EXPECT_EQ(copy.user, "www-data");
  EXPECT_EQ(copy.uid, 33u);
  EXPECT_EQ(copy.gid, 34u);
  EXPECT_EQ(copy.groups, account.groups);
}

TEST(IdentityTable, KeepsIndicesAcrossReloads) {
  IdentityTable table;
  config::Config config;
  config.programs.emplace_back().name = "a";
  config.programs.emplace_back().name = "b";
  const Account server{.switch_user = false, .uid = ::geteuid(), .gid = ::getegid()};
  const auto first = table.add(config, server);
  ASSERT_TRUE(first);
  EXPECT_EQ(first->at("a"), 0u);
  EXPECT_EQ(first->at("b"), 1u);
  // Another order, one changed, one new: what is as it was keeps its index, nothing that was there changes.
  config::Config second_config;
  second_config.programs.emplace_back().name = "c";
  second_config.programs.push_back(config.programs[1]);
  second_config.programs.push_back(config.programs[0]);
  second_config.programs.back().limits.files = 77;
  const auto second = table.add(second_config, server);
  ASSERT_TRUE(second);
  EXPECT_EQ(second->at("b"), 1u);
  EXPECT_EQ(table.identities()[0].files, config.programs[0].limits.files);
  EXPECT_EQ(table.identities()[second->at("a")].files, 77u);
  EXPECT_EQ(table.identities().size(), 4u);
}

TEST(IdentityTable, AProgramOfAnotherUserNeedsThatUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives programs other users";
  IdentityTable table;
  config::Config config;
  config.programs.emplace_back().name = "a";
  config.programs[0].user = "no-such-user-here";
  const auto added = table.add(config, {.switch_user = true, .user = "root"});
  ASSERT_FALSE(added);
  EXPECT_NE(added.error().message.find("program a"), std::string::npos);
  EXPECT_TRUE(table.identities().empty());
}

}  // namespace
}  // namespace fivefold::app
