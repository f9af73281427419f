<?php
$before = array_map('ini_get', ['precision', 'memory_limit', 'user_agent']);
$set = [ini_set('precision', '5'), ini_set('memory_limit', '64M'), ini_set('user_agent', 'changed')];
echo json_encode([$before, array_map(fn($one) => $one !== false, $set), array_map('ini_get', ['precision', 'memory_limit', 'user_agent'])]);
