target_link_libraries(floor_namesrv PUBLIC z)
