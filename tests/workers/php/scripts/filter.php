<?php
echo json_encode([filter_input(INPUT_GET, 'i', FILTER_VALIDATE_INT), filter_input(INPUT_COOKIE, 'c'), filter_input(INPUT_SERVER, 'SCRIPT_NAME')]);
