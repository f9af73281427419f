<?php
echo json_encode(array_map('ini_get', ['user_agent', 'precision', 'memory_limit']));
