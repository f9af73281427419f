#pragma once
// [server] and the tables in it.
#include "config/table_reader.h"

namespace fivefold::config {

// Reads what is there into `server`; faults go to the context. `describe`, if any, gets the keys of each table, for the
// documentation's test.
struct SectionKeys {
  std::string title;
  std::vector<KeyDescription> keys;
};
void read_server(const Node& table, Server& server, Context& context, std::vector<SectionKeys>* describe = nullptr);

}  // namespace fivefold::config
