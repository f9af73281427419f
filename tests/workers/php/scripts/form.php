<?php
echo json_encode(['get' => $_GET, 'post' => $_POST, 'files' => array_keys($_FILES)] + (isset($_GET['request']) ? ['request' => $_REQUEST] : []));
