#include "config/instances_section.h"

#include <algorithm>

namespace fivefold::config {
namespace {

constexpr std::uint32_t kMostInstances = 1000;

const Node& empty_table() {
  static const Node table;
  return table;
}

}  // namespace

void read_instances(TableReader& parent, std::uint32_t& least, std::uint32_t& most, milliseconds& idle_timeout,
                    std::vector<SectionKeys>* describe) {
  const Entry* entry = parent.take("instances", "integer or table", std::to_string(most));
  if (!entry && !describe) return;
  Faults& faults = parent.context().faults;
  if (entry && entry->value.is(Node::Kind::integer)) {
    if (entry->value.integer < 1 || entry->value.integer > kMostInstances)
      return faults.error(
          entry->value.at,
          parent.name("instances") + " is " + std::to_string(entry->value.integer) + ", but must lie between 1 and " +
              std::to_string(kMostInstances),
          entry->value.integer == 0 ? "write instances = { min = 0, max = 1 } to start it on demand" : "");
    least = most = static_cast<std::uint32_t>(entry->value.integer);
    return;
  }
  if (entry && !entry->value.is(Node::Kind::table))
    return parent.wrong_kind("instances", entry->value, "a whole number or a table",
                             "write instances = 4, or instances = { min = 1, max = 8, idle_timeout = \"60s\" }");
  least = most = 1;
  TableReader reader(entry ? entry->value : empty_table(), "instances of " + parent.title(),
                     parent.table_path() + ".instances", parent.context());
  reader.number("min", least, {0, kMostInstances});
  reader.number("max", most, {1, kMostInstances});
  reader.duration("idle_timeout", idle_timeout);
  reader.finish();
  const Entry* max = reader.table().find("max");
  if (max && max->value.is(Node::Kind::integer) && most < least) {
    if (reader.table().find("min"))
      faults.error(max->value.at,
                   reader.name("max") + " is " + std::to_string(most) + ", less than 'min', " + std::to_string(least),
                   "write max = " + std::to_string(least) + " or more");
    least = std::min(least, most);
  }
  most = std::max(most, least);
  if (describe) describe->push_back({"instances of [program.NAME]", reader.keys()});
}

}  // namespace fivefold::config
